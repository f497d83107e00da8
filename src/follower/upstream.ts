import { readAnswer } from "../base/answer.ts";
import type { Clock } from "../base/clock.ts";
import { untilSilent } from "../base/until-silent.ts";
import { SyncError, errorTable } from "../protocol/errors.ts";
import type { ErrorCode, ErrorFacts, Problem } from "../protocol/errors.ts";
import { renameKeys, toCamelCase } from "../base/case.ts";
import type { ChangeType, LogEntry } from "../log/sync-log.ts";

/** How this process sends a request; tests pass another service's `app.request`. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface LeaderDescription {
  readonly name: string;
  readonly description: string | null;
  readonly historyId: string;
  readonly head: number;
  readonly epoch: number;
  readonly leaderDeviceId: string | null;
  readonly oldestSequence: number;
  /** When its database was made, which tells two that hold the same library apart. */
  readonly createdAt: string;
}

export interface LogPage {
  readonly entries: readonly LogEntry[];
  readonly hasMore: boolean;
  readonly nextAfter: number;
  readonly head: number;
  readonly epoch: number;
  readonly historyId: string;
}

export interface SnapshotLine {
  readonly snapshot?: { sequence: number; history_id: string; types: string[] };
  readonly resource_type?: string;
  readonly resource?: Readonly<Record<string, unknown>> & { id: string; version: number };
  readonly origin?: { device_id: string; created_at: number; updated_at: number };
  readonly deleted?: string;
  readonly version?: number;
  /** `newest`: no record is newer than this entry, also where a copy answers that is itself behind its records. */
  readonly end?: { sequence: number; newest?: number };
}

interface Checksums {
  readonly sequence: number;
  readonly checksums: Readonly<Record<string, { readonly count: number; readonly sum: number }>>;
}

export interface UpstreamOptions {
  /** One address, or those of several nodes with commas between: they are asked in turn. */
  readonly url: string;
  readonly libraryId: string;
  readonly token: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Of which history the copy is that writes there, or null: a leader of another one refuses what it sends. */
  readonly historyId?: () => string | null;
  /** A leader that answers nothing for so long is one that cannot be reached: 30 s when left out. */
  readonly replyMs?: number;
}

/** The leader, as a follower speaks to it. Every refusal of the leader is thrown as its `SyncError`. */
export interface Upstream {
  describe(): Promise<LeaderDescription>;
  /** The devices from there to who leads, asked by those it went `through`; none when that is not to be had now. */
  chain(through: readonly string[]): Promise<readonly string[]>;
  log(after: number, limit: number, historyId: string | null): Promise<LogPage>;
  snapshot(types: readonly string[] | null, afterKey: string | null): AsyncGenerator<SnapshotLine>;
  checksums(): Promise<Checksums>;
  register(device: { id: string; name: string }): Promise<void>;
  acknowledge(position: { deviceId: string; sequence: number; epoch: number }): Promise<void>;
  /** The leader's stream, as bare msgpack. */
  events(after: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null>;
  /** Sends a write as it is; the leader's answer is the caller's, whatever it says. */
  send(path: string, init: RequestInit): Promise<Response>;
  /** Ends a request whose answer is due by then. */
  replySoon(): AbortSignal;
  /** The node that is asked now does not answer: asks the next from here on. */
  leave(): void;
  /** Ends what is under way, and asks nothing any more. */
  close(): void;
}

/** Said by a proxy for a leader that it does not reach. */
const isUnreached = (status: number): boolean => status >= 502 && status <= 504;

/** What the leader said, as the error it was. */
export function fromProblem(status: number, problem: object): SyncError {
  const { code, detail: said } = problem as { readonly code?: unknown; readonly detail?: unknown };
  const name = typeof code === "string" ? code : "nothing of use";
  const unknown = isUnreached(status) ? "overloaded" : "internal";
  const known: ErrorCode = Object.hasOwn(errorTable, name) ? (name as ErrorCode) : unknown;
  const facts = renameKeys({ ...problem }, toCamelCase) as unknown as ErrorFacts[ErrorCode];
  const told = typeof said === "string" ? said : name;
  return new SyncError(known, facts, { detail: `The leader answers ${status}: ${told}` });
}

/** The problem of an answer, which stays to be read. A proxy in between may tell of none, or of `null`. */
export async function problemOf(response: Response): Promise<Partial<Problem>> {
  const said: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return typeof said === "object" && said !== null ? said : {};
}

/** Lets go of the rest of an answer: workerd holds six connections, and an unread body keeps its own. */
export const leaveUnread = async (response: Response): Promise<void> =>
  response.body?.cancel().catch(() => {});

/** The answer's problem as the error it was. */
export async function toError(response: Response): Promise<SyncError> {
  return fromProblem(response.status, await problemOf(response));
}

/** Said against this device, not against what it sent: a better token, or a newer version, may send it. */
export const isOwn = (status: number, { reason, code }: Partial<Problem>): boolean =>
  status === 401 ||
  status === 426 ||
  code === "history_changed" ||
  (status === 403 && (reason === "role_too_low" || reason === "no_grant"));

/**
 * Why the leader does not take a write now; null when it never will. Whoever wrote can do nothing about
 * this device's own token, and must not look for a fault in theirs.
 */
export function toDelay(status: number, problem: Partial<Problem>): SyncError | null {
  const error = fromProblem(status, problem);
  if (!isOwn(status, problem)) return problem.retry === "never" ? null : error;
  return new SyncError(
    "overloaded",
    { retryAfterSeconds: 1 },
    { cause: error, detail: error.message },
  );
}

interface WireEntry {
  readonly sequence: number;
  readonly epoch: number;
  readonly transaction_id: string;
  readonly device_id: string;
  readonly mutation_id: string | null;
  readonly timestamp: string;
  readonly domain: string;
  readonly model_type: string;
  readonly record_id: string;
  readonly change_type: ChangeType;
  readonly version: number;
  readonly operation?: string | null;
  readonly data: Readonly<Record<string, unknown>> | null;
}

function toEntry(wire: WireEntry): LogEntry {
  const entry: LogEntry = {
    sequence: wire.sequence,
    epoch: wire.epoch,
    transactionId: wire.transaction_id,
    deviceId: wire.device_id,
    mutationId: wire.mutation_id,
    timestampMs: Date.parse(wire.timestamp),
    domain: wire.domain,
    modelType: wire.model_type,
    recordId: wire.record_id,
    changeType: wire.change_type,
    version: wire.version,
    operation: wire.operation ?? null,
    data: wire.data,
  };
  const isSound =
    Number.isSafeInteger(entry.sequence) &&
    Number.isSafeInteger(entry.version) &&
    Number.isFinite(entry.timestampMs) &&
    typeof entry.modelType === "string" &&
    typeof entry.recordId === "string" &&
    (entry.data === null || typeof entry.data === "object");
  if (isSound) return entry;
  const detail = `Entry ${String(entry.sequence)} cannot be read.`;
  const issues = [{ path: "entries", message: detail }];
  throw new SyncError("invalid_record", { issues }, { detail });
}

/** How long the leader may take to ask on who leads it. */
const CHAIN_MS = 2_000;
/** Pages of the leader are far smaller than this. */
const REPLY_BYTES = 67_108_864;
const LINE_CHARS = 16_777_216;

/** Sends what a device writes. @throws overloaded when the leader cannot be reached */
export const sendWrite = (
  upstream: Upstream,
  path: string,
  write: { readonly deviceId: string; readonly body: object },
): Promise<Response> =>
  upstream.send(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-device-id": write.deviceId },
    body: JSON.stringify(write.body),
    signal: upstream.replySoon(),
  });

async function* readLines(
  body: ReadableStream<Uint8Array>,
  { clock, ms }: { readonly clock: Clock; readonly ms: number },
): AsyncGenerator<SnapshotLine> {
  const decoder = new TextDecoder();
  let rest = "";
  const silence = () => {
    const detail = `The leader sent nothing for ${ms} ms.`;
    return new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  };
  for await (const part of untilSilent(body, { ms, clock, silence })) {
    rest += decoder.decode(part, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS) {
      const detail = `A line of the snapshot has more than ${LINE_CHARS} characters.`;
      throw new SyncError("overloaded", { retryAfterSeconds: 60 }, { detail });
    }
    for (const line of lines) if (line !== "") yield JSON.parse(line) as SnapshotLine;
  }
}

/** Requests to whichever node is asked now. */
interface Line {
  /** The answer, whatever it says. @throws overloaded when there is none */
  readonly send: (path: string, init?: RequestInit) => Promise<Response>;
  /** A good answer. @throws what the node said instead */
  readonly get: (path: string, init?: RequestInit) => Promise<Response>;
  readonly leave: () => void;
  readonly close: () => void;
}

/** What a copy sends is meant for the history that it follows. */
export const HISTORY_HEADER = "x-syncline-history";

function createLine(options: UpstreamOptions): Line {
  const { url: urls, libraryId, token, fetch, historyId = () => null } = options;
  const addresses = urls.split(",");
  const closing = new AbortController();
  let turn = 0;
  /** Of several requests that found the same node dead, one goes on to the next. */
  const leaveFrom = (asked: number): void => {
    if (turn === asked) turn += 1;
  };
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    const history = historyId();
    if (init.method === "POST" && history !== null) headers.set(HISTORY_HEADER, history);
    const asked = turn;
    const url = addresses[asked % addresses.length] ?? "";
    const signals = [closing.signal, ...(init.signal ? [init.signal] : [])];
    const signal = AbortSignal.any(signals);
    try {
      signal.throwIfAborted();
      return await fetch(`${url}/v1/libraries/${libraryId}${path}`, { ...init, headers, signal });
    } catch (cause) {
      leaveFrom(asked);
      const detail = `The leader at ${url} cannot be reached.`;
      throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { cause, detail });
    }
  };
  return {
    send,
    get: async (path, init) => {
      const asked = turn;
      const response = await send(path, init);
      if (response.ok) return response;
      const error = await toError(response);
      await leaveUnread(response);
      // What this node cannot do now, another may.
      if (/later|leader/.test(errorTable[error.code].retry)) leaveFrom(asked);
      throw error;
    },
    leave: () => leaveFrom(turn),
    close: () => closing.abort(),
  };
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const { clock, replyMs: ms = 30_000 } = options;
  const replySoon = (): AbortSignal => AbortSignal.timeout(ms);
  const { send, get, leave, close } = createLine(options);
  const json = async <Answer>(path: string): Promise<Answer> => {
    const response = await get(path, { signal: replySoon() });
    const bytes = await readAnswer(response, REPLY_BYTES).catch(() => null);
    if (bytes !== null) return JSON.parse(new TextDecoder().decode(bytes)) as Answer;
    const detail = `The leader's answer to ${path} breaks off, or has more than ${REPLY_BYTES} bytes.`;
    throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { detail });
  };
  const post = async (path: string, body: object): Promise<void> => {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body), signal: replySoon() };
    await leaveUnread(await get(path, init));
  };
  return {
    describe: async () => {
      const answer = await json<Record<string, unknown>>("");
      return renameKeys(answer, toCamelCase) as unknown as LeaderDescription;
    },
    chain: async (through) => {
      const asked = new URLSearchParams(through.map((id) => ["through", id]));
      const signal = AbortSignal.timeout(CHAIN_MS);
      const answer = await get(`/leader?${asked.toString()}`, { signal })
        .then(async (response) => (await response.json()) as { readonly chain?: unknown })
        .catch(() => null);
      return Array.isArray(answer?.chain) ? answer.chain.map(String) : [];
    },
    log: async (after, limit, historyId) => {
      const history = historyId === null ? "" : `&history_id=${historyId}`;
      const answer = await json<{
        entries: WireEntry[];
        has_more: boolean;
        next_after: number;
        head: number;
        epoch: number;
        history_id: string;
      }>(`/log?after=${after}&limit=${limit}${history}`);
      return {
        entries: answer.entries.map(toEntry),
        hasMore: answer.has_more,
        nextAfter: answer.next_after,
        head: answer.head,
        epoch: answer.epoch,
        historyId: answer.history_id,
      };
    },
    snapshot: async function* (types, afterKey) {
      const query = new URLSearchParams({ rows: "1" });
      if (types !== null) query.set("types", types.join(","));
      if (afterKey !== null) query.set("after_key", afterKey);
      const { body } = await get(`/snapshot?${query.toString()}`);
      if (body !== null) yield* readLines(body, { clock, ms });
    },
    checksums: () => json("/checksum"),
    register: (device) => post("/devices", device),
    acknowledge: ({ deviceId, sequence, epoch }) =>
      post("/positions", { device_id: deviceId, sequence, epoch }),
    events: async (after, signal) => {
      const headers = { accept: "application/vnd.syncline.events+msgpack" };
      return (await get(`/events?after=${after}`, { signal, headers })).body;
    },
    send,
    replySoon,
    leave,
    close,
  };
}
