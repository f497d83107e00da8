import type { Clock } from "../base/clock.ts";
import type { Cache } from "./cache.ts";
import { createConnection } from "./connection.ts";
import type { Feed, Identity } from "./feed.ts";
import type { OutboxMessage } from "./outbox.ts";
import type { ConnectionState } from "./state.ts";
import type { Tabs } from "./tabs.ts";
import type { ClientProblem, TokenSource, Transport } from "./transport.ts";
import type { StreamFrame } from "./wire.ts";
import { isFields } from "./wire.ts";

/** What tabs tell each other. */
type TabMessage =
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

export interface SessionOptions {
  readonly cache: Cache;
  readonly feed: Feed;
  readonly transport: Transport;
  readonly tabs: Tabs;
  readonly clock: Clock;
  readonly random: () => number;
  readonly silenceMs: number;
  readonly onLead: () => void;
  readonly onState: (state: ConnectionState, problem: ClientProblem | null) => void;
  /** Frames were applied. */
  readonly onApplied: () => void;
  readonly onOutbox: (message: OutboxMessage) => void;
  readonly onSignedOut: () => void;
}

/**
 * The place of this tab among the others. One leads: it holds the stream and passes its frames on. The
 * others apply the same frames; who missed some has the leader open the stream again from there, and
 * those that have them already pass over them.
 */
export interface Session {
  start(): void;
  post(message: OutboxMessage | { readonly kind: "signedOut" }): void;
  setPaused(isPaused: boolean): void;
  setToken(token: TokenSource): void;
  /** What the browser says. An open stream would seem alive until it was silent for too long. */
  hearNetwork(isThere: boolean): void;
  close(): void;
  readonly state: ConnectionState;
  readonly isLeader: boolean;
  readonly isPaused: boolean;
  /** Another tab led while this one was open: the disk is as that one left it. */
  readonly hasHeardLeader: boolean;
}

export function createSession(options: SessionOptions): Session {
  const { cache, feed, tabs, transport } = options;
  let isLeader = false;
  let isMissing = false;
  let isPaused = false;
  let hasHeardLeader = false;
  let rewind: number | null = null;
  let state: ConnectionState = "standby";
  let problem: ClientProblem | null = null;
  let giveUp: () => void = () => {};
  const post = (message: TabMessage): void => tabs.post(message);

  const setState = (next: ConnectionState, why: ClientProblem | null): void => {
    state = next;
    problem = why;
    if (isLeader) tell();
    options.onState(next, why);
  };
  const tell = (): void =>
    post({ kind: "stands", state, problem, identity: feed.identity, cursor: cache.cursor });

  const connection = createConnection({
    ...options,
    position: () => {
      const { after, historyId } = feed.position;
      return {
        after: after === null || rewind === null ? after : Math.min(after, rewind),
        historyId,
      };
    },
    onFrames: (frames) => {
      if (frames.some(({ kind }) => kind === "hello")) rewind = null;
      const outcome = feed.apply(frames);
      post({ kind: "frames", frames });
      options.onApplied();
      return outcome;
    },
    onLostPosition: (why) => {
      feed.losePosition();
      post({ kind: "lostPosition" });
      if (why !== null) problem = why;
    },
    onState: setState,
  });

  const miss = (): void => {
    if (isMissing) return;
    isMissing = true;
    post({ kind: "missed", after: cache.cursor });
  };

  const hearLeader = (message: Extract<TabMessage, { kind: "stands" }>): void => {
    const { identity, cursor } = message;
    isPaused = message.state === "paused";
    if (identity !== null && cursor >= 0) {
      feed.join(identity, cursor);
      if (cache.cursor < cursor) miss();
    }
    setState(message.state, message.problem);
  };

  const onMessage = (message: TabMessage): void => {
    switch (message.kind) {
      case "frames":
        if (isLeader) return;
        if (cache.cursor < 0 && !message.frames.some(({ kind }) => kind === "hello")) return;
        hasHeardLeader = true;
        if (feed.apply(message.frames) === "gap") miss();
        else isMissing = false;
        return options.onApplied();
      case "stands":
        if (isLeader) return;
        hasHeardLeader = true;
        return hearLeader(message);
      case "joined":
        if (isLeader) tell();
        return;
      case "missed":
        if (!isLeader) return;
        rewind = Math.min(rewind ?? message.after, message.after);
        return connection.dispatch("restart");
      case "lostPosition":
        return feed.losePosition();
      case "paused":
        isPaused = message.isPaused;
        return connection.dispatch(isPaused ? "pause" : "resume");
      case "token":
        transport.setToken(message.token);
        return connection.dispatch("tokenSet");
      case "signedOut":
        return options.onSignedOut();
      case "queued":
      case "settled":
      case "discarded":
        return options.onOutbox(message);
    }
  };

  return {
    start: () => {
      tabs.onMessage((message) => {
        // Only clients of this version speak on this channel; its name carries the version.
        if (isFields(message)) onMessage(message as unknown as TabMessage);
      });
      post({ kind: "joined" });
      giveUp = tabs.lead(() => {
        isLeader = true;
        isMissing = false;
        options.onLead();
        connection.dispatch("lead");
        if (isPaused) connection.dispatch("pause");
      });
    },
    post,
    setPaused: (next) => {
      isPaused = next;
      post({ kind: "paused", isPaused });
      connection.dispatch(next ? "pause" : "resume");
    },
    setToken: (token) => {
      transport.setToken(token);
      if (typeof token === "string") post({ kind: "token", token });
      connection.dispatch("tokenSet");
    },
    hearNetwork: (isThere) => connection.dispatch(isThere ? "due" : "lost"),
    close: () => {
      connection.dispatch("close");
      giveUp();
      tabs.close();
    },
    get state() {
      return state;
    },
    get isLeader() {
      return isLeader;
    },
    get isPaused() {
      return isPaused;
    },
    get hasHeardLeader() {
      return hasHeardLeader;
    },
  };
}
