import type { Clock } from "../base/clock.ts";
import { createConnection } from "./connection.ts";
import type { OutboxMessage } from "./outbox.ts";
import { mayRead } from "./state.ts";
import type { ConnectionState } from "./state.ts";
import type { Tabs } from "./tabs.ts";
import type { Standing, TabMessage, TalkParts } from "./talk.ts";
import type { ClientProblem, TokenSource, Transport } from "./transport.ts";

export interface SessionOptions extends Pick<
  TalkParts,
  "cache" | "feed" | "onApplied" | "onOutbox" | "onSignedOut"
> {
  readonly transport: Transport;
  readonly tabs: Tabs;
  readonly clock: Clock;
  readonly random: () => number;
  readonly silenceMs: number;
  readonly onLead: () => void;
  readonly onState: (state: ConnectionState, problem: ClientProblem | null) => void;
}

/**
 * The place of this tab among the others. One leads: it holds the stream and passes its frames on. The
 * others apply the same frames; who missed some has the leader open the stream again from there, and
 * those that have them already pass over them.
 */
export interface Session {
  start(): void;
  post(message: OutboxMessage): void;
  setPaused(isPaused: boolean): void;
  setToken(token: TokenSource): void;
  /** What the browser says. An open stream would seem alive until it was silent for too long. */
  hearNetwork(isThere: boolean): void;
  close(): void;
  readonly standing: Readonly<Standing>;
}

function newStanding(): Standing {
  return {
    state: "standby",
    problem: null,
    isLeader: false,
    isPaused: false,
    isMissing: false,
    hasHeardLeader: false,
    rewind: Infinity,
  };
}

export function createSession(options: SessionOptions): Session {
  const { cache, feed, tabs, transport } = options;
  const standing = newStanding();
  const post = (message: TabMessage): void => tabs.post(message);

  const tell = (): void => {
    const { state, problem } = standing;
    post({ kind: "stands", state, problem, identity: feed.identity, cursor: cache.cursor });
  };
  const setState = (state: ConnectionState, problem: ClientProblem | null): void => {
    Object.assign(standing, { state, problem });
    if (standing.isLeader) tell();
    options.onState(state, problem);
  };

  const { dispatch } = createConnection({
    ...options,
    position: () => {
      const { after, historyId } = feed.position;
      return { after: after === null ? null : Math.min(after, standing.rewind), historyId };
    },
    onFrames: (frames) => {
      if (frames.some(({ kind }) => kind === "hello")) standing.rewind = Infinity;
      const outcome = feed.apply(frames);
      post({ kind: "frames", frames });
      options.onApplied();
      return outcome;
    },
    onLostPosition: (why) => {
      feed.losePosition();
      post({ kind: "lostPosition" });
      if (why !== null) standing.problem = why;
    },
    onState: setState,
  });
  const onLead = (): void => {
    Object.assign(standing, { isLeader: true, isMissing: false });
    options.onLead();
    dispatch("lead");
    if (standing.isPaused) dispatch("pause");
  };

  const renew = (token: TokenSource): void => {
    // Some pages set the same one whenever they render: that is no reason for another stream.
    if (transport.setToken(token) || !mayRead(standing.state)) dispatch("tokenSet");
  };

  return {
    start: () => {
      tabs.onMessage(tabs.talk({ ...options, standing, post, tell, setState, dispatch, renew }));
      post({ kind: "joined" });
      tabs.lead(onLead);
    },
    post,
    setPaused: (isPaused) => {
      standing.isPaused = isPaused;
      post({ kind: "paused", isPaused });
      dispatch(isPaused ? "pause" : "resume");
    },
    setToken: (token) => {
      renew(token);
      if (typeof token === "string") post({ kind: "token", token });
    },
    hearNetwork: (isThere) => dispatch(isThere ? "due" : "lost"),
    close: () => {
      // Nobody is told: the others go on.
      standing.isLeader = false;
      dispatch("close");
      tabs.close();
    },
    standing,
  };
}
