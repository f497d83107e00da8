import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Codec } from "./codec.ts";
import type { StreamEvent, WireEvent } from "./event.ts";
import { createFrame } from "./frame.ts";
import { createLogPages } from "./log-pages.ts";
import type { ReadLog } from "./log-pages.ts";
import { createDelivery, createMember } from "./member.ts";
import type { Member } from "./member.ts";
import { createRing } from "./ring.ts";
import type { Subscriber, Subscription } from "./subscription.ts";
import { createSweeper } from "./sweep.ts";
import type { GoodbyeReason } from "./sweep.ts";
import { createViews } from "./view.ts";

/** Live delivery of one library: one ring of frames, every subscriber a cursor into it. */
export interface Hub {
  /** Adds events that end at `head`; call in commit order. */
  publish(events: readonly StreamEvent[], head: number): void;
  /** Sends an event that has no sequence to whoever listens now, and may see its type if it names one. */
  broadcast(event: WireEvent): void;
  subscribe(subscription: Subscription): Subscriber;
  /** Sends heartbeats, closes the expired and those that do not read. Called every second. */
  sweep(): void;
  goodbye(reason: GoodbyeReason, retryMs: number): void;
  /** Ends all streams, and at once those that begin later. */
  close(): void;
  /** Tells listeners to read afresh, because records changed beside the log; the stream goes on. */
  reset(reason: string, library: ResetState): void;
  readonly codec: Codec;
  readonly head: number;
  readonly size: number;
}

/** What a `reset` frame tells beside its reason. */
interface ResetState {
  readonly oldestSequence: number;
  readonly historyId: string;
}

export interface HubOptions {
  readonly head: number;
  readonly codec: Codec;
  readonly readLog: ReadLog;
  /** Called when the first subscriber comes. */
  readonly onFirst?: () => void;
  /** Called when the last subscriber has left. */
  readonly onLast?: () => void;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** From the commit's own time to now, when it has been handed to all who are at the head. */
function observeLag({ telemetry, clock }: HubOptions, last: StreamEvent | undefined): void {
  if (last === undefined) return;
  const committedAt = Date.parse(last.wire.envelope.timestamp);
  telemetry.observe("delivery_lag_seconds", Math.max(0, clock.now() - committedAt) / 1_000);
}

function sendReset(
  subscription: Subscription,
  codec: Codec,
  facts: { readonly head: number },
): void {
  subscription.cursor = facts.head;
  const at = { format: subscription.format, id: facts.head };
  subscription.sink.write(codec.encodeControl("reset", facts, at));
}

function broadcast(wire: WireEvent, members: Iterable<Member>, codec: Codec): void {
  const frame = createFrame({ sequence: 0, type: "", wire }, codec);
  const type = wire.kind.data["resource_type"];
  for (const { subscription } of members) {
    if (typeof type === "string" && subscription.types?.has(type) === false) continue;
    if (subscription.sink.room() > 0) subscription.sink.write(frame.bytes(subscription.format));
  }
}

export function createHub(options: HubOptions): Hub {
  const { clock, limits, telemetry, codec } = options;
  const members = new Set<Member>();
  const ring = createRing(options);
  const pages = createLogPages(options.readLog, codec);
  const viewOf = createViews({ codec, chunkBytes: limits.chunkBytes });
  const leave = (member: Member): void => {
    if (!members.delete(member)) return;
    telemetry.gauge("stream_subscribers", members.size);
    member.subscription.onLeft?.();
    if (members.size > 0) return;
    ring.clear(ring.head);
    pages.clear();
    options.onLast?.();
  };
  const { deliver, count } = createDelivery({ ...options, members, ring, pages, leave });
  const sweeper = createSweeper({ ...options, leave });
  const close = (member: Member): void => sweeper.end(member, "shutdown", 1_000);
  let isClosed = false;
  const pump = (member: Member): void => {
    member.progressAt = clock.monotonic();
    if (members.has(member)) deliver(member, member.progressAt);
    count();
  };

  return {
    codec,
    publish: (events, head) => {
      telemetry.count("events_published", events.length);
      if (members.size === 0) return ring.clear(head);
      ring.push(events, head);
      const now = clock.monotonic();
      for (const member of members) deliver(member, now);
      count();
      observeLag(options, events.at(-1));
    },
    broadcast: (wire) => broadcast(wire, members, codec),
    subscribe: (subscription) => {
      const view = viewOf(subscription.format, subscription.types);
      const member = createMember(subscription, view, clock.monotonic());
      members.add(member);
      if (members.size === 1) options.onFirst?.();
      telemetry.gauge("stream_subscribers", members.size);
      if (isClosed) close(member);
      return {
        pump: () => pump(member),
        leave: () => leave(member),
      };
    },
    sweep: () => {
      const at = { now: clock.monotonic(), head: ring.head };
      for (const member of members) sweeper.sweep(member, at);
    },
    goodbye: (reason, retryMs) => members.forEach((one) => sweeper.end(one, reason, retryMs)),
    close: () => {
      isClosed = true;
      members.forEach(close);
    },
    reset: (reason, { oldestSequence: oldest_sequence, historyId: history_id }) => {
      telemetry.count("stream_resets", members.size, { reason });
      const facts = { reason, head: ring.head, oldest_sequence, history_id };
      for (const { subscription } of members) sendReset(subscription, codec, facts);
    },
    get head() {
      return ring.head;
    },
    get size() {
      return members.size;
    },
  };
}
