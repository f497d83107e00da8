import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { StreamEvent, WireEvent } from "./event.ts";
import { createFrame, encodeControl, encodeEvent, encodeSkip, joinBytes } from "./frame.ts";
import type { Format, Frame } from "./frame.ts";

/** Where a subscriber's bytes go. `room` is how many more it may be handed now. */
export interface Sink {
  room(): number;
  write(bytes: Uint8Array): void;
  close(): void;
}

export type GoodbyeReason = "shutdown" | "token_expired" | "revoked" | "max_age";

export interface Subscription {
  readonly format: Format;
  /** The last sequence the subscriber has. */
  cursor: number;
  /** Only events of these types; null for all. */
  readonly types: ReadonlySet<string> | null;
  readonly expiresAtMs: number | null;
  readonly isRevoked: () => boolean;
  readonly sink: Sink;
}

/** Live delivery of one library: one ring of frames, every subscriber a cursor into it. */
export interface Hub {
  /** Adds events that end at `head`; call in commit order. */
  publish(events: readonly StreamEvent[], head: number): void;
  /** Sends an event that has no sequence to whoever listens now. */
  broadcast(event: WireEvent): void;
  subscribe(subscription: Subscription): Subscriber;
  /** Sends heartbeats, closes the expired and those that do not read. Called every second. */
  sweep(): void;
  goodbye(reason: GoodbyeReason, retryMs: number): void;
  readonly head: number;
  readonly size: number;
}

export interface Subscriber {
  /** The reader has taken something: hand over more. */
  pump(): void;
  /** Gone: forget it. */
  leave(): void;
}

export interface HubOptions {
  readonly head: number;
  /** Events after a cursor from the log, and where they end (`catch-up.ts`). */
  readonly readLog: (
    after: number,
    head: number,
  ) => Promise<{ events: StreamEvent[]; end: number }>;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

interface Member {
  readonly subscription: Subscription;
  readonly filterKey: string;
  readonly startedAt: number;
  sentAt: number;
  progressAt: number;
  isReading: boolean;
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly end: number;
}

export function createHub(options: HubOptions): Hub {
  const { clock, limits, telemetry } = options;
  const members = new Set<Member>();
  let frames: Frame[] = [];
  let ringStart = options.head;
  let head = options.head;
  // Subscribers at one cursor share one chunk: a thousand readers at the head cost one join.
  const chunks = createBoundedMap<string, Chunk>(32);
  const pages = new Map<number, Promise<{ frames: Frame[]; end: number }>>();

  const firstAfter = (cursor: number): number => {
    let low = 0;
    let high = frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((frames[middle]?.event.sequence ?? 0) <= cursor) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  /** Joins frames up to the limit; filtered positions become one id-only frame. */
  const buildChunk = (
    member: Member,
    source: { readonly frames: readonly Frame[]; readonly start: number; readonly end: number },
  ): Chunk => {
    const { frames: from, start, end } = source;
    const { format, types } = member.subscription;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let sent = member.subscription.cursor;
    let at = start;
    let position = member.subscription.cursor;
    for (; at < from.length && bytes < limits.subscriberBytes; at += 1) {
      const frame = from[at];
      if (frame === undefined) break;
      position = frame.event.sequence;
      if (types !== null && !types.has(frame.event.type)) continue;
      const made = frame.bytes(format);
      parts.push(made);
      bytes += made.length;
      sent = position;
    }
    if (at >= from.length) position = end;
    if (sent < position) parts.push(encodeSkip(position, format));
    return { bytes: joinBytes(parts), end: position };
  };

  const send = (member: Member, chunk: Chunk): void => {
    // The cursor moves first: handing over bytes may call back for more at once.
    member.subscription.cursor = chunk.end;
    member.subscription.sink.write(chunk.bytes);
    member.sentAt = clock.monotonic();
    member.progressAt = member.sentAt;
    telemetry.count("frames_delivered");
  };

  const pump = (member: Member): void => {
    const { subscription } = member;
    while (!member.isReading && subscription.cursor < head && subscription.sink.room() > 0) {
      if (subscription.cursor < ringStart) {
        void readBehind(member);
        return;
      }
      const key = `${subscription.cursor}:${head}:${subscription.format}:${member.filterKey}`;
      let chunk = chunks.get(key);
      if (chunk === undefined) {
        chunk = buildChunk(member, { frames, start: firstAfter(subscription.cursor), end: head });
        chunks.set(key, chunk);
      }
      send(member, chunk);
    }
  };

  /** A cursor behind the ring reads the log, a page at a time; equal cursors share the page. */
  const readBehind = async (member: Member): Promise<void> => {
    const { subscription } = member;
    member.isReading = true;
    const after = subscription.cursor;
    telemetry.count("log_reads");
    try {
      let page = pages.get(after);
      if (page === undefined) {
        page = options
          .readLog(after, head)
          .then(({ events, end }) => ({ frames: events.map(createFrame), end }));
        pages.set(after, page);
        void page.catch(() => {}).finally(() => pages.delete(after));
      }
      const { frames: read, end } = await page;
      for (let at = 0; members.has(member);) {
        const chunk = buildChunk(member, { frames: read, start: at, end });
        send(member, chunk);
        if (chunk.end >= end) break;
        at = read.findIndex((frame) => frame.event.sequence > chunk.end);
        while (subscription.sink.room() <= 0 && members.has(member)) await clock.sleep(5);
      }
    } catch (error) {
      telemetry.log("error", "A stream could not read the log.", { error });
      leave(member);
      subscription.sink.close();
    } finally {
      member.isReading = false;
    }
    pump(member);
  };

  const leave = (member: Member): void => {
    if (!members.delete(member)) return;
    telemetry.gauge("stream_subscribers", members.size);
    if (members.size > 0) return;
    frames = [];
    ringStart = head;
    chunks.clear();
  };

  const end = (member: Member, reason: GoodbyeReason, retryMs: number): void => {
    const { sink, format } = member.subscription;
    sink.write(encodeControl("goodbye", { reason, retry_ms: retryMs }, format));
    leave(member);
    sink.close();
  };

  const beat = (member: Member, now: number): void => {
    const { sink, format, cursor, expiresAtMs } = member.subscription;
    if (cursor < head || sink.room() <= 0) return;
    const token_expires_in =
      expiresAtMs === null ? null : Math.max(0, Math.round((expiresAtMs - clock.now()) / 1_000));
    const timestamp = new Date(clock.now()).toISOString();
    sink.write(encodeControl("heartbeat", { head, timestamp, token_expires_in }, format));
    member.sentAt = now;
    member.progressAt = now;
  };

  const sweepOne = (member: Member, now: number): void => {
    const { expiresAtMs, isRevoked, sink } = member.subscription;
    if (expiresAtMs !== null && clock.now() >= expiresAtMs) end(member, "token_expired", 0);
    else if (isRevoked()) end(member, "revoked", 0);
    else if (now - member.startedAt > limits.streamMaxAgeMs) end(member, "max_age", 1_000);
    else if (sink.room() <= 0 && now - member.progressAt > limits.slowReaderMs) {
      telemetry.count("slow_readers_closed");
      leave(member);
      sink.close();
    } else if (now - member.sentAt >= limits.heartbeatMs) beat(member, now);
  };

  return {
    publish: (events, newHead) => {
      head = newHead;
      telemetry.count("events_published", events.length);
      if (members.size === 0) {
        ringStart = head;
        return;
      }
      for (const event of events) frames.push(createFrame(event));
      const surplus = frames.length - limits.ringEvents;
      if (surplus > limits.ringEvents / 8) {
        ringStart = frames[surplus - 1]?.event.sequence ?? ringStart;
        frames = frames.slice(surplus);
      }
      for (const member of members) pump(member);
    },
    broadcast: (event) => {
      for (const { subscription } of members) {
        if (subscription.sink.room() > 0)
          subscription.sink.write(encodeEvent(event, subscription.format));
      }
    },
    subscribe: (subscription) => {
      const now = clock.monotonic();
      const member: Member = {
        subscription,
        filterKey: subscription.types === null ? "" : [...subscription.types].toSorted().join(),
        startedAt: now,
        sentAt: now,
        progressAt: now,
        isReading: false,
      };
      members.add(member);
      telemetry.gauge("stream_subscribers", members.size);
      return {
        pump: () => {
          member.progressAt = clock.monotonic();
          pump(member);
        },
        leave: () => leave(member),
      };
    },
    sweep: () => {
      const now = clock.monotonic();
      for (const member of members) sweepOne(member, now);
    },
    goodbye: (reason, retryMs) => {
      for (const member of members) end(member, reason, retryMs);
    },
    get head() {
      return head;
    },
    get size() {
      return members.size;
    },
  };
}
