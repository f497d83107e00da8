import type { Cache } from "./cache.ts";
import type { Position } from "./connection.ts";
import type { ClientEvent, StreamFrame } from "./wire.ts";

/** What the base is a copy of. A cursor means nothing without it. */
export interface Identity {
  readonly historyId: string;
  readonly registryHash: string;
}

export interface FeedOptions {
  readonly cache: Cache;
  /** The base began afresh at a head: what is persisted and what was asked before counts no more. */
  readonly onStart: (identity: Identity) => void;
  readonly onEvent: (event: ClientEvent) => void;
  readonly onComplaint: (complaint: string) => void;
}

/** Frames into the cache: the same in the tab that holds the stream and in those that are told. */
export interface Feed {
  apply(frames: readonly StreamFrame[]): "applied" | "gap";
  /** What the cache was loaded with from disk. */
  restore(identity: Identity): void;
  /** Another tab's base stands at `cursor`, and what it tells goes on from there. */
  join(identity: Identity, cursor: number): void;
  /** The next `hello` starts afresh at its head. */
  losePosition(): void;
  readonly position: Position;
  readonly identity: Identity | null;
  /** The highest sequence heard of. */
  readonly head: number;
}

/** How many of these frames may be applied: an event waits for the others of its transaction. */
function countWhole(frames: readonly StreamFrame[]): number {
  let whole = 0;
  let end = 0;
  for (const [index, frame] of frames.entries()) {
    let at = 0;
    if (frame.kind === "skip") at = frame.sequence;
    else if (frame.kind === "heartbeat") at = frame.head;
    else if (frame.kind === "reset") at = Infinity;
    else if (frame.kind === "event" && frame.change !== null) {
      at = frame.change.sequence;
      end = Math.max(end, at + (frame.event.envelope.rest ?? 0));
    }
    if (at >= end) [whole, end] = [index + 1, 0];
  }
  return whole;
}

export function createFeed(options: FeedOptions): Feed {
  const { cache } = options;
  let identity: Identity | null = null;
  let isLost = false;
  let head = 0;
  let held: readonly StreamFrame[] = [];

  const start = (at: number, next: Identity): void => {
    identity = next;
    isLost = false;
    head = at;
    cache.start(at);
    options.onStart(next);
  };

  const isOf = ({ historyId, registryHash }: Identity): boolean =>
    identity?.historyId === historyId && identity.registryHash === registryHash;

  const applyOne = (frame: StreamFrame): "applied" | "gap" => {
    switch (frame.kind) {
      case "hello": {
        const { historyId, registryHash, head: at } = frame.hello;
        if (cache.cursor < 0 || isLost || !isOf({ historyId, registryHash }))
          start(at, { historyId, registryHash });
        head = Math.max(head, at);
        break;
      }
      case "reset":
        start(frame.head, {
          historyId: frame.historyId,
          registryHash: identity?.registryHash ?? "",
        });
        break;
      case "skip":
        head = Math.max(head, frame.sequence);
        cache.advance(frame.sequence);
        break;
      case "heartbeat":
        // It promises that everything up to its head was sent, so what is missing was lost.
        head = Math.max(head, frame.head);
        return frame.head > cache.cursor ? "gap" : "applied";
      case "event": {
        const { change, event, complaint } = frame;
        if (change !== null) {
          head = Math.max(head, change.sequence);
          const outcome = cache.applyEvent(change);
          if (outcome !== "applied") return outcome === "gap" ? "gap" : "applied";
        }
        if (complaint !== null) {
          options.onComplaint(complaint);
          if (change !== null) cache.invalidate();
        }
        options.onEvent(event);
        break;
      }
      case "unreadable":
        options.onComplaint(frame.complaint);
        break;
      case "goodbye":
        break;
    }
    return "applied";
  };

  return {
    apply: (given) => {
      let outcome: "applied" | "gap" = "applied";
      // A new stream begins before what was held.
      const isAnew = given[0]?.kind === "hello";
      const all = isAnew ? given : [...held, ...given];
      const frames = all.slice(0, countWhole(all));
      held = all.slice(frames.length);
      cache.batch(() => {
        for (const frame of frames) {
          outcome = applyOne(frame);
          if (outcome === "gap") return;
        }
      });
      return outcome;
    },
    restore: (known) => {
      identity = known;
      head = Math.max(head, cache.cursor);
    },
    join: (known, cursor) => {
      if (cache.cursor < 0 || !isOf(known)) start(cursor, known);
    },
    losePosition: () => {
      isLost = true;
    },
    get position() {
      const isResumable = cache.cursor >= 0 && !isLost;
      return { after: isResumable ? cache.cursor : null, historyId: identity?.historyId ?? null };
    },
    get identity() {
      return identity;
    },
    get head() {
      return head;
    },
  };
}
