import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { createEmitter, tellAll } from "../base/emitter.ts";
import { createId } from "../base/id.ts";
import type { SyncStatus } from "./api.ts";
import { createCache } from "./cache.ts";
import type { Cache } from "./cache.ts";
import { createFeed } from "./feed.ts";
import type { Feed } from "./feed.ts";
import { createOutbox } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import { nowhere } from "./persistence.ts";
import type { Persistence } from "./persistence.ts";
import { createRequests } from "./requests.ts";
import type { ClientRules } from "./rules.ts";
import { createSession } from "./session.ts";
import type { Session } from "./session.ts";
import { mayRead, mayWrite, publicStates } from "./state.ts";
import { createStatus } from "./status.ts";
import { createSoleTab } from "./tabs.ts";
import type { Tabs } from "./tabs.ts";
import { createTransport, problemOf, reasonOf } from "./transport.ts";
import type { ClientProblem, TokenSource } from "./transport.ts";
import type { ClientEvent } from "./wire.ts";

export interface ClientOptions {
  readonly url: string;
  /** The id of the library. */
  readonly library: string;
  /** Asked again when the service refuses it. */
  readonly token: TokenSource;
  /** What the plugins say about their queries and actions, such as `plugins/rules`. */
  readonly rules: ClientRules;
  /** `openIndexedDb({ name })`; in memory when left out. */
  readonly persistence?: Persistence;
  /** `openTabs(name)`, with the name of the persistence, lets all tabs share one stream and one writer. */
  readonly tabs?: Tabs;
  readonly deviceId?: string;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** A stream that is silent for longer is opened again; 45 s, three heartbeats, by default. */
  readonly silenceMs?: number;
  /** Of the records on disk; 50 MB by default. */
  readonly diskBytesMax?: number;
  /** Told of what was not understood, not stored or not resumed; `status` keeps the last one. */
  readonly onProblem?: (problem: ClientProblem) => void;
}

/** What the parts have in common. `onChange`: the status may be another. */
function createGround(options: ClientOptions, onChange: () => void) {
  const { rules, clock = systemClock, random = Math.random, onProblem } = options;
  const fetchIt = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  const transport = createTransport({ ...options, clock, fetch: fetchIt });
  const life = { isClosed: false, isQueueRead: false, problem: null as ClientProblem | null };
  const report = (problem: ClientProblem): void => {
    life.problem = problem;
    tellAll(onProblem === undefined ? [] : [onProblem], problem);
    onChange();
  };
  return {
    rules,
    clock,
    random,
    transport,
    life,
    report,
    onChange,
    cache: createCache({ rules }),
    /** null: there will be no more. */
    events: createEmitter<ClientEvent | null>(),
    onComplaint: (detail: string): void => report(problemOf("unreadable", detail, "never")),
    onFailure: (error: unknown): void =>
      report(problemOf("storage_failed", `The disk failed: ${reasonOf(error)}`)),
  };
}

interface Standings {
  readonly life: { readonly isClosed: boolean; readonly problem: ClientProblem | null };
  readonly cache: Cache;
  readonly feed: Feed;
  readonly outbox: Outbox;
  readonly session: Session;
}

function statusOf({ life, cache, feed, outbox, session }: Standings): SyncStatus {
  const { state, isPaused } = session.standing;
  const { pendingCount, rejected } = outbox;
  return {
    connection: life.isClosed ? "closed" : publicStates[state],
    isPaused,
    cursor: cache.cursor,
    head: feed.head,
    pendingCount,
    rejected,
    problem: life.problem,
  };
}

/** The parts of a client, joined. `onSignedOut`: in another tab. */
export function createEngine(options: ClientOptions, onSignedOut: () => void) {
  const ground = createGround(options, () => status.refresh());
  const { life, cache, events, onChange } = ground;
  const requests = createRequests(ground);
  const feed = createFeed({
    ...ground,
    onStart: () => {
      requests.startAfresh();
      keeper.startFresh();
    },
    onEvent: events.emit,
  });
  const { persistence, tabs = createSoleTab(), diskBytesMax: bytesMax = 50_000_000 } = options;
  const identity = () => feed.identity;
  const keeper = persistence?.keep(persistence, { ...ground, bytesMax, identity }) ?? nowhere;
  const outbox = createOutbox({
    ...ground,
    keeper,
    createId,
    post: (message) => session.post(message),
  });
  const loadQueue = (): Promise<void> =>
    keeper.loadQueue().then(outbox.restore).catch(ground.onFailure);
  /** Nothing is sent before the disk said how another tab may have sent it. */
  const activate = (): void => {
    const { isLeader, isPaused, state } = session.standing;
    outbox.setActive(
      isLeader && !isPaused && life.isQueueRead && !life.isClosed && mayWrite(state),
    );
  };
  const session = createSession({
    ...ground,
    feed,
    tabs,
    silenceMs: options.silenceMs ?? 45_000,
    onLead: () => {
      if (life.isClosed) return;
      keeper.setWriting(true, !session.standing.hasHeardLeader);
      void loadQueue().then(() => {
        life.isQueueRead = true;
        activate();
      });
    },
    onState: (state, why) => {
      if (state === "live") life.problem = null;
      requests.setOpen(mayRead(state) && cache.cursor >= 0);
      activate();
      if (why === null) onChange();
      else ground.report(why);
    },
    onApplied: onChange,
    onOutbox: outbox.receive,
    onSignedOut,
  });
  const status = createStatus(() => statusOf({ life, cache, feed, outbox, session }), life);
  return { ...ground, requests, feed, keeper, outbox, loadQueue, tabs, session, status };
}
export type Engine = ReturnType<typeof createEngine>;
