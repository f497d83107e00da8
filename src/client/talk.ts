import type { Cache } from "./cache.ts";
import type { Feed, Identity } from "./feed.ts";
import type { OutboxMessage } from "./outbox.ts";
import type { ConnectionEvent, ConnectionState } from "./state.ts";
import type { ClientProblem, TokenSource } from "./transport.ts";
import type { StreamFrame } from "./wire.ts";

/** What tabs tell each other. */
export type TabMessage =
  | OutboxMessage
  /** The tab that holds the stream passes it on. */
  | { readonly kind: "frames"; readonly frames: readonly StreamFrame[] }
  /** How the connection stands; `identity` and `cursor` are where the next frames go on from. */
  | {
      readonly kind: "stands";
      readonly state: ConnectionState;
      readonly problem: ClientProblem | null;
      readonly identity: Identity | null;
      readonly cursor: number;
    }
  /** A new tab asks how the connection stands. */
  | { readonly kind: "joined" }
  /** A tab missed what came after this. */
  | { readonly kind: "missed"; readonly after: number }
  /** The position cannot be resumed from: all begin afresh at the next `hello`. */
  | { readonly kind: "lostPosition" }
  | { readonly kind: "paused"; readonly isPaused: boolean }
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "signedOut" };

/** Where a tab stands among the others. */
export interface Standing {
  state: ConnectionState;
  problem: ClientProblem | null;
  isLeader: boolean;
  isPaused: boolean;
  /** Frames are missing, and the leader was told. */
  isMissing: boolean;
  /** Another tab led while this one was open: the disk is as that one left it. */
  hasHeardLeader: boolean;
  /** The next stream begins here at the latest, for a tab that missed what came after it. */
  rewind: number;
}

export interface TalkParts {
  readonly cache: Cache;
  readonly feed: Feed;
  readonly standing: Standing;
  readonly post: (message: TabMessage) => void;
  /** Tells the others how the connection stands. */
  readonly tell: () => void;
  readonly setState: (state: ConnectionState, problem: ClientProblem | null) => void;
  readonly dispatch: (event: ConnectionEvent) => void;
  readonly renew: (token: TokenSource) => void;
  /** Frames were applied. */
  readonly onApplied: () => void;
  readonly onOutbox: (message: OutboxMessage) => void;
  readonly onSignedOut: () => void;
}

/** Hears a message of the tab that leads. */
function hearLeader(
  { cache, feed, standing, post, setState, onApplied }: TalkParts,
  message: Extract<TabMessage, { kind: "frames" | "stands" }>,
): void {
  const miss = (): void => {
    if (standing.isMissing) return;
    standing.isMissing = true;
    post({ kind: "missed", after: cache.cursor });
  };
  if (message.kind === "frames") {
    if (cache.cursor < 0 && !message.frames.some(({ kind }) => kind === "hello")) return;
    standing.hasHeardLeader = true;
    if (feed.apply(message.frames) === "gap") miss();
    else standing.isMissing = false;
    return onApplied();
  }
  const { identity, cursor, state, problem } = message;
  standing.hasHeardLeader = true;
  standing.isPaused = state === "paused";
  if (identity !== null && cursor >= 0) {
    feed.join(identity, cursor);
    if (cache.cursor < cursor) miss();
  }
  setState(state, problem);
}

/**
 * What a tab does with what the others say. It comes along with `Tabs`, so that a client that is alone
 * does not load it.
 */
export function createTalk(parts: TalkParts): (message: TabMessage) => void {
  const { feed, standing, dispatch } = parts;
  return (message) => {
    switch (message.kind) {
      case "frames":
      case "stands":
        if (!standing.isLeader) hearLeader(parts, message);
        return;
      case "joined":
        if (standing.isLeader) parts.tell();
        return;
      case "missed":
        if (!standing.isLeader) return;
        standing.rewind = Math.min(standing.rewind, message.after);
        return dispatch("restart");
      case "lostPosition":
        return feed.losePosition();
      case "paused":
        standing.isPaused = message.isPaused;
        return dispatch(message.isPaused ? "pause" : "resume");
      case "token":
        return parts.renew(message.token);
      case "signedOut":
        return parts.onSignedOut();
      case "queued":
      case "settled":
      case "discarded":
        return parts.onOutbox(message);
    }
  };
}
