import type { Cache } from "./cache.ts";
import type { Position } from "./stream.ts";
import type { ClientEvent, Hello, StreamFrame } from "./wire.ts";

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

const identityOf = ({ historyId, registryHash }: Identity): Identity => ({
  historyId,
  registryHash,
});

/** Where the base stands, and what it is a copy of. */
function createPlace({ cache, onStart }: FeedOptions) {
  let isLost = false;
  const isOf = ({ historyId, registryHash }: Identity): boolean =>
    place.identity?.historyId === historyId && place.identity.registryHash === registryHash;
  const place = {
    identity: null as Identity | null,
    head: 0,
    reach: (sequence: number): void => {
      place.head = Math.max(place.head, sequence);
    },
    start: (at: number, identity: Identity): void => {
      Object.assign(place, { identity, head: at });
      isLost = false;
      cache.start(at);
      onStart(identity);
    },
    /** Goes on where it is when that is a place of the same base, else begins at `at`. */
    join: (at: number, other: Identity): void => {
      if (cache.cursor < 0 || !isOf(other)) place.start(at, identityOf(other));
    },
    hear: (hello: Hello): void => {
      if (isLost) place.start(hello.head, identityOf(hello));
      else place.join(hello.head, hello);
      place.reach(hello.head);
    },
    lose: (): void => {
      isLost = true;
    },
    position: (): Position => {
      const { identity } = place;
      const after = cache.cursor >= 0 && !isLost ? cache.cursor : null;
      return { after, historyId: identity?.historyId ?? null };
    },
  };
  return place;
}
type Place = ReturnType<typeof createPlace>;

type Outcome = "applied" | "gap";

function applyEvent(
  { cache, onComplaint, onEvent }: FeedOptions,
  place: Place,
  { change, event, complaint }: Extract<StreamFrame, { kind: "event" }>,
): Outcome {
  if (change !== null) {
    place.reach(change.sequence);
    const outcome = cache.applyEvent(change);
    if (outcome !== "applied") return outcome === "gap" ? "gap" : "applied";
  }
  if (complaint !== null) {
    onComplaint(complaint);
    if (change !== null) cache.invalidate();
  }
  onEvent(event);
  return "applied";
}

function applyFrame(options: FeedOptions, place: Place, frame: StreamFrame): Outcome {
  const { cache } = options;
  if (frame.kind === "event") return applyEvent(options, place, frame);
  if (frame.kind === "hello") place.hear(frame.hello);
  else if (frame.kind === "reset")
    place.start(frame.head, {
      historyId: frame.historyId,
      registryHash: place.identity?.registryHash ?? "",
    });
  else if (frame.kind === "skip") {
    place.reach(frame.sequence);
    cache.advance(frame.sequence);
  } else if (frame.kind === "heartbeat") {
    // It promises that everything up to its head was sent, so what is missing was lost.
    place.reach(frame.head);
    if (frame.head > cache.cursor) return "gap";
  } else if (frame.kind === "unreadable") options.onComplaint(frame.complaint);
  return "applied";
}

export function createFeed(options: FeedOptions): Feed {
  const { cache } = options;
  const place = createPlace(options);
  let held: readonly StreamFrame[] = [];
  return {
    apply: (given) => {
      // A new stream begins before what was held.
      const isAnew = given[0]?.kind === "hello";
      const all = isAnew ? given : [...held, ...given];
      const frames = all.slice(0, countWhole(all));
      held = all.slice(frames.length);
      let outcome: Outcome = "applied";
      cache.batch(() => {
        for (const frame of frames) {
          outcome = applyFrame(options, place, frame);
          if (outcome === "gap") return;
        }
      });
      return outcome;
    },
    restore: (identity) => {
      place.identity = identity;
      place.reach(cache.cursor);
    },
    join: (identity, cursor) => place.join(cursor, identity),
    losePosition: place.lose,
    get position() {
      return place.position();
    },
    get identity() {
      return place.identity;
    },
    get head() {
      return place.head;
    },
  };
}
