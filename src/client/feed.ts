import type { Cache } from "./cache.ts";
import type { Position } from "./stream.ts";
import type { ClientEvent, StreamFrame } from "./wire.ts";

/** What the base is a copy of. A cursor means nothing without it. */
export interface Identity {
  readonly historyId: string;
  readonly registryHash: string;
}

export interface FeedOptions {
  readonly cache: Cache;
  /** The base began afresh at a head: what is persisted and what was asked before counts no more. */
  readonly onStart: () => void;
  readonly onEvent: (event: ClientEvent) => void;
  readonly onComplaint: (complaint: string) => void;
}

type Outcome = "applied" | "duplicate" | "gap";

/** Frames into the cache: the same in the tab that holds the stream and in those that are told. */
export interface Feed {
  apply(frames: readonly StreamFrame[]): Outcome;
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

/** Up to where a frame makes the base complete. */
function placeOf(frame: StreamFrame): number {
  if (frame.kind === "event") return frame.change?.sequence ?? 0;
  if (frame.kind === "skip") return frame.sequence;
  return "head" in frame ? frame.head : 0;
}

/** How many of these frames may be applied: an event waits for the others of its transaction. */
function countWhole(frames: readonly StreamFrame[]): number {
  let whole = 0;
  let end = 0;
  for (const [index, frame] of frames.entries()) {
    const at = placeOf(frame);
    if (frame.kind === "event" && at > 0)
      end = Math.max(end, at + (frame.event.envelope.rest ?? 0));
    if (at >= end || frame.kind === "reset") [whole, end] = [index + 1, 0];
  }
  return whole;
}

/** Where the base stands, and what it is a copy of. */
function createPlace({ cache, onStart }: FeedOptions) {
  const place = {
    identity: null as Identity | null,
    head: 0,
    isLost: false,
    start: (at: number, { historyId, registryHash }: Identity): void => {
      Object.assign(place, { identity: { historyId, registryHash }, head: at, isLost: false });
      cache.start(at);
      onStart();
    },
    restore: (identity: Identity): void => {
      Object.assign(place, { identity, head: cache.cursor });
    },
    /** Goes on where it is when that is a place of the same base, else begins at `at`. */
    join: (other: Identity, at: number): void => {
      const { historyId, registryHash } = place.identity ?? {};
      const isSame = historyId === other.historyId && registryHash === other.registryHash;
      if (cache.cursor < 0 || !isSame) place.start(at, other);
    },
    losePosition: (): void => {
      place.isLost = true;
    },
    get position(): Position {
      const after = cache.cursor >= 0 && !place.isLost ? cache.cursor : null;
      return { after, historyId: place.identity?.historyId ?? null };
    },
  };
  return place;
}

function applyEvent(
  { cache, onComplaint, onEvent }: FeedOptions,
  { change, event, complaint }: Extract<StreamFrame, { kind: "event" }>,
): Outcome {
  const outcome = change === null ? "applied" : cache.applyEvent(change);
  if (outcome !== "applied") return outcome;
  if (complaint !== null) {
    onComplaint(complaint);
    if (change !== null) cache.invalidate();
  }
  onEvent(event);
  return outcome;
}

export function createFeed(options: FeedOptions): Feed {
  const { cache, onComplaint } = options;
  const place = createPlace(options);
  let held: readonly StreamFrame[] = [];

  const applyFrame = (frame: StreamFrame): Outcome => {
    place.head = Math.max(place.head, placeOf(frame));
    switch (frame.kind) {
      case "event":
        return applyEvent(options, frame);
      case "hello": {
        const isFirst = cache.cursor < 0;
        if (place.isLost) place.start(frame.head, frame);
        else place.join(frame, frame.head);
        // Replies came before it: what lies between them and its head is missing.
        if (isFirst && cache.cursor < frame.head) return "gap";
        break;
      }
      case "reset":
        place.start(frame.head, {
          registryHash: "",
          ...place.identity,
          historyId: frame.historyId,
        });
        break;
      case "skip":
        cache.advance(frame.sequence);
        break;
      case "heartbeat":
        // It promises that everything up to its head was sent, so what is missing was lost.
        if (frame.head > cache.cursor) return "gap";
        break;
      case "unreadable":
        onComplaint(frame.complaint);
    }
    return "applied";
  };

  return Object.assign(place, {
    apply: (given: readonly StreamFrame[]): Outcome => {
      // A new stream begins before what was held.
      const all = given[0]?.kind === "hello" ? given : [...held, ...given];
      const frames = all.slice(0, countWhole(all));
      held = all.slice(frames.length);
      let outcome: Outcome = "applied";
      cache.batch(() => {
        for (const frame of frames) {
          outcome = applyFrame(frame);
          if (outcome === "gap") return;
        }
      });
      return outcome;
    },
  });
}
