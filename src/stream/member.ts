import type { Clock } from "../base/clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { LogPages } from "./log-pages.ts";
import type { Ring } from "./ring.ts";
import type { Subscription } from "./subscription.ts";
import type { Source, View } from "./view.ts";

/** A subscriber as the hub knows it. */
export interface Member {
  readonly subscription: Subscription;
  readonly view: View;
  readonly startedAt: number;
  /** When it was last handed something. */
  sentAt: number;
  /** When it last took something. */
  progressAt: number;
  isReading: boolean;
}

export function createMember(subscription: Subscription, view: View, now: number): Member {
  const times = { startedAt: now, sentAt: now, progressAt: now };
  return { subscription, view, ...times, isReading: false };
}

export interface DeliveryOptions {
  readonly members: Set<Member>;
  readonly ring: Ring;
  readonly pages: LogPages;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly leave: (member: Member) => void;
}

export interface Delivery {
  /**
   * Hands a member what follows its cursor for as long as it has room: from the ring, or behind it
   * from pages of the log. `now` is read once for many members.
   */
  readonly deliver: (member: Member, now: number) => void;
  /** Counts what was handed over since: for each member alone it would cost a tenth of the delivery. */
  readonly count: () => void;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { members, ring, pages, clock, telemetry, leave } = options;
  const handed = { all: 0, fromRing: 0 };

  const count = (): void => {
    if (handed.all > 0) telemetry.count("frames_delivered", handed.all);
    if (handed.fromRing > 0) telemetry.count("ring_reads", handed.fromRing);
    handed.all = handed.fromRing = 0;
  };

  const sourceFor = (member: Member): Source | null => {
    const { cursor } = member.subscription;
    if (cursor >= ring.start) return { frames: ring.frames, end: ring.head };
    const page = pages.find(cursor);
    if (page === null) void readBehind(member);
    return page;
  };

  const deliver = (member: Member, now: number): void => {
    const { subscription, view } = member;
    const { sink } = subscription;
    while (!member.isReading && subscription.cursor < ring.head && sink.room() > 0) {
      const source = sourceFor(member);
      if (source === null) break;
      const chunk = view.chunkAfter(subscription.cursor, source);
      // The cursor moves first: handing over bytes may call back for more at once.
      subscription.cursor = chunk.end;
      member.sentAt = now;
      member.progressAt = now;
      sink.write(chunk.bytes);
      handed.all += 1;
      if (source.frames === ring.frames) handed.fromRing += 1;
    }
  };

  const readBehind = async (member: Member): Promise<void> => {
    member.isReading = true;
    telemetry.count("log_reads");
    try {
      await pages.read(member.subscription.cursor, ring.head);
    } catch (error) {
      telemetry.log("error", "A stream could not read the log.", { error });
      // A reader that left meanwhile has closed its side already.
      if (!members.has(member)) return;
      leave(member);
      member.subscription.sink.close();
      return;
    } finally {
      member.isReading = false;
    }
    if (!members.has(member)) return;
    deliver(member, clock.monotonic());
    count();
  };

  return { deliver, count };
}
