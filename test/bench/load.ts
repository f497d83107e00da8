/**
 * The load client, a process of its own. Its subscribers stay connected between calls.
 *
 * @module
 */
import { answerCalls } from "./child.ts";
import {
  albumDescription,
  createUuid,
  encodeAlbumBatch,
  encodeAlbumCommit,
  encodeFileLines,
} from "./records.ts";
import {
  encodeHead,
  encodePost,
  openConnection,
  readJson,
  request,
  type Connection,
  type Target,
} from "./socket.ts";
import { openSubscriber, type Subscriber } from "./subscriber.ts";
import { quantile } from "./statistics.ts";

interface Rate {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** A commit request whose id is written anew into the same bytes each time. */
function createCommitRequest(target: Target): () => Buffer {
  const placeholder = createUuid();
  const body = encodeAlbumCommit(placeholder, albumDescription);
  const bytes = encodePost(target, `/v1/libraries/${target.library}/commit`, body);
  const at = bytes.indexOf(placeholder);
  return () => {
    bytes.write(createUuid(), at, "latin1");
    return bytes;
  };
}

/** Runs `clientCount` closed loops for `durationMs`; each sends when its last answer came. */
async function runCommits(input: {
  target: Target;
  clientCount: number;
  durationMs: number;
}): Promise<Rate> {
  const { target, clientCount, durationMs } = input;
  const connections = await openConnections(target, clientCount);
  const latencies: number[] = [];
  const started = performance.now();
  const loop = async (connection: Connection): Promise<void> => {
    const nextRequest = createCommitRequest(target);
    while (performance.now() - started < durationMs) {
      const sent = performance.now();
      const answer = await connection.send(nextRequest());
      if (answer.status !== 200) readJson(answer);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(connections.map(loop));
  const rate = toRate(latencies, performance.now() - started);
  for (const connection of connections) connection.close();
  return rate;
}

function openConnections(target: Target, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(target.port)));
}

function toRate(latencies: readonly number[], elapsedMs: number): Rate {
  return {
    count: latencies.length,
    perSecond: (latencies.length / elapsedMs) * 1000,
    p50Ms: quantile(latencies, 0.5),
    p95Ms: quantile(latencies, 0.95),
  };
}

/** Commits exactly `count` albums over 32 connections. Resolves to the last sequence. */
async function fill(input: { target: Target; count: number }): Promise<number> {
  const { target, count } = input;
  const connections = await openConnections(target, 32);
  let left = count;
  let head = 0;
  const loop = async (connection: Connection): Promise<void> => {
    const nextRequest = createCommitRequest(target);
    while (left > 0) {
      left -= 1;
      head = Math.max(head, readSequence(readJson(await connection.send(nextRequest()))));
    }
  };
  await Promise.all(connections.map(loop));
  for (const connection of connections) connection.close();
  return head;
}

function readSequence(answer: unknown): number {
  const sequence = Object(answer).sequence;
  if (typeof sequence !== "number") throw new Error(`no sequence in ${JSON.stringify(answer)}`);
  return sequence;
}

/** Sends `count` batches of `size` albums one after the other; bodies are made beforehand. */
async function runBatches(input: { target: Target; count: number; size: number }): Promise<Rate> {
  const { target, count, size } = input;
  const path = `/v1/libraries/${target.library}/batch`;
  const requests = Array.from({ length: count }, () =>
    encodePost(target, path, encodeAlbumBatch(size)),
  );
  const connection = await openConnection(target.port);
  const latencies: number[] = [];
  const started = performance.now();
  for (const bytes of requests) {
    const sent = performance.now();
    const answer = await connection.send(bytes);
    if (answer.status !== 200) readJson(answer);
    latencies.push(performance.now() - sent);
  }
  const rate = toRate(latencies, performance.now() - started);
  connection.close();
  return rate;
}

/** Records a piece of a bulk body holds; about 100 kB. */
const PIECE_RECORDS = 500;

async function runBulk(input: {
  target: Target;
  count: number;
  locationId: string;
}): Promise<{ seconds: number; answer: unknown }> {
  const { target, count, locationId } = input;
  const line = `POST /v1/libraries/${target.library}/bulk?resource_type=file&mode=insert`;
  const head = encodeHead(target, line, [
    "Content-Type: application/x-ndjson",
    `X-Device-Id: ${locationId}`,
    "Transfer-Encoding: chunked",
  ]);
  let sentCount = -1;
  const nextPiece = (): Uint8Array | null => {
    if (sentCount < 0) {
      sentCount = 0;
      return Buffer.from(head);
    }
    if (sentCount > count) return null;
    if (sentCount === count) {
      sentCount += 1;
      return Buffer.from("0\r\n\r\n");
    }
    const size = Math.min(PIECE_RECORDS, count - sentCount);
    const lines = encodeFileLines(locationId, sentCount, size);
    sentCount += size;
    return Buffer.concat([
      Buffer.from(`${lines.length.toString(16)}\r\n`),
      lines,
      Buffer.from("\r\n"),
    ]);
  };
  const connection = await openConnection(target.port);
  const started = performance.now();
  const answer = await connection.stream(nextPiece);
  const seconds = (performance.now() - started) / 1000;
  connection.close();
  return { seconds, answer: readJson(answer) };
}

/** Connects anew and waits for the event of sequence `head`. */
async function catchUp(input: { target: Target; after: number; head: number }): Promise<{
  seconds: number;
  frameCount: number;
  byteCount: number;
}> {
  const { target, after, head } = input;
  const arrived = Promise.withResolvers<number>();
  const started = performance.now();
  const subscriber = await openSubscriber({
    target,
    after,
    isReading: true,
    onFrame: (sequence) => {
      if (sequence >= head) arrived.resolve(performance.now());
    },
  });
  const timer = setTimeout(() => arrived.reject(new Error("catch-up took too long")), 60_000);
  const seconds = ((await arrived.promise) - started) / 1000;
  clearTimeout(timer);
  subscriber.close();
  return { seconds, frameCount: subscriber.frameCount, byteCount: subscriber.byteCount };
}

let subscribers: readonly Subscriber[] = [];
let onArrival: ((sequence: number) => void) | null = null;

/** Connects subscribers, at most 50 at once, that stay until `unsubscribe`. */
async function subscribe(input: {
  target: Target;
  count: number;
  isReading: boolean;
}): Promise<number> {
  const { target, count, isReading } = input;
  const opened: Subscriber[] = [];
  const open = async (): Promise<void> => {
    const onFrame = (sequence: number): void => onArrival?.(sequence);
    opened.push(await openSubscriber({ target, after: null, isReading, onFrame }));
  };
  while (opened.length < count) {
    await Promise.all(Array.from({ length: Math.min(50, count - opened.length) }, open));
  }
  subscribers = [...subscribers, ...opened];
  return subscribers.length;
}

async function unsubscribe(_input: null): Promise<void> {
  for (const subscriber of subscribers) subscriber.close();
  subscribers = [];
}

interface Delivery {
  readonly deliveryCount: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Bytes a reading subscriber received for one event. */
  readonly frameBytes: number;
}

/** Commits at a steady rate and measures from sending a commit to each arrival of its event. */
async function write(input: {
  target: Target;
  count: number;
  perSecond: number;
  descriptionBytes: number;
  expectedPerEvent: number;
}): Promise<Delivery> {
  const { target, count, perSecond, descriptionBytes, expectedPerEvent } = input;
  const expectedCount = count * expectedPerEvent;
  const arrivals: { sequence: number; at: number }[] = [];
  const complete = Promise.withResolvers<void>();
  onArrival = (sequence) => {
    arrivals.push({ sequence, at: performance.now() });
    if (arrivals.length === expectedCount) complete.resolve();
  };
  if (expectedCount === 0) complete.resolve();
  const bytesBefore = countBytes();
  const sentAt = await sendSteadily({ target, count, perSecond, descriptionBytes });
  await Promise.race([complete.promise, Bun.sleep(10_000)]);
  onArrival = null;
  if (arrivals.length < expectedCount) {
    throw new Error(`${arrivals.length} of ${expectedCount} events arrived`);
  }
  const latencies = arrivals.map(({ sequence, at }) => at - (sentAt.get(sequence) ?? Number.NaN));
  return {
    deliveryCount: arrivals.length,
    p50Ms: quantile(latencies, 0.5),
    p95Ms: quantile(latencies, 0.95),
    frameBytes: (countBytes() - bytesBefore) / Math.max(1, arrivals.length),
  };
}

function countBytes(): number {
  return subscribers.reduce((sum, { byteCount }) => sum + byteCount, 0);
}

/** Resolves to when the commit of each sequence was sent. */
async function sendSteadily(input: {
  target: Target;
  count: number;
  perSecond: number;
  descriptionBytes: number;
}): Promise<Map<number, number>> {
  const { target, count, perSecond, descriptionBytes } = input;
  const path = `/v1/libraries/${target.library}/commit`;
  const description = "d".repeat(descriptionBytes);
  const connection = await openConnection(target.port);
  const sentAt = new Map<number, number>();
  const started = performance.now();
  for (let index = 0; index < count; index += 1) {
    const wait = started + (index * 1000) / perSecond - performance.now();
    if (wait > 0) await Bun.sleep(wait);
    const bytes = encodePost(target, path, encodeAlbumCommit(createUuid(), description));
    const sent = performance.now();
    sentAt.set(readSequence(readJson(await connection.send(bytes))), sent);
  }
  connection.close();
  return sentAt;
}

/** One small request, for what a scenario has to prepare or look up. */
async function ask(input: {
  target: Target;
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  deviceId?: string;
}): Promise<unknown> {
  const body = input.body === undefined ? "" : JSON.stringify(input.body);
  const head = encodeHead(input.target, `${input.method} ${input.path}`, [
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(input.deviceId === undefined ? [] : [`X-Device-Id: ${input.deviceId}`]),
  ]);
  return request(input.target.port, Buffer.from(head + body));
}

export type LoadCalls = typeof calls;

const calls = {
  runCommits,
  runBatches,
  runBulk,
  fill,
  catchUp,
  subscribe,
  unsubscribe,
  write,
  ask,
};

if (import.meta.main) answerCalls(calls);
