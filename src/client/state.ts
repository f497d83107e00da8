/**
 * The connection of one library as a table: every state, every event, no cell left out. Pure; the
 * loop in `connection.ts` does what entering a state asks for. SPEC.md says what reads and writes do.
 *
 * @module
 */

/** Where the connection stands. `standby`: another tab holds it. `waiting`: it tries again by itself. */
export type ConnectionState =
  | "standby"
  | "connecting"
  | "catching-up"
  | "live"
  | "waiting"
  | "paused"
  | "needs-auth"
  | "refused"
  | "closed";

/** What can happen to it. */
export type ConnectionEvent =
  /** This tab holds the connection from now on. */
  | "lead"
  /** `hello` arrived. */
  | "opened"
  /** Everything up to the head of `hello` was applied. */
  | "caughtUp"
  /** A gap, a reset, or a tab that missed something: open again from the cursor. */
  | "restart"
  /** Cut, silent, truncated, said goodbye, or answered 429 or 5xx. */
  | "lost"
  /** The wait is over, or the browser says that the network is back. */
  | "due"
  /** 401 or 403, also with a fresh token. */
  | "denied"
  | "tokenSet"
  /** 426 or 404: trying again cannot help. */
  | "refused"
  | "pause"
  | "resume"
  | "close";

/** Of a stream that stands. It tells what the token of its beginning may read: another begins another. */
const open = {
  restart: "connecting",
  tokenSet: "connecting",
  lost: "waiting",
  denied: "needs-auth",
  refused: "refused",
  pause: "paused",
} as const;
/** Of a service that will not be asked as things are. */
const barred = { tokenSet: "connecting", pause: "paused" } as const;

/** What each state leaves for; whatever is not named leaves it where it is. */
const exits: Readonly<
  Record<ConnectionState, Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>>
> = {
  standby: { lead: "connecting" },
  connecting: { ...open, opened: "catching-up" },
  "catching-up": { ...open, caughtUp: "live" },
  live: open,
  waiting: { ...barred, due: "connecting", restart: "connecting" },
  paused: { resume: "connecting" },
  "needs-auth": barred,
  refused: barred,
  closed: {},
};

export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  return event === "close" ? "closed" : (exits[state][event] ?? state);
}

/** The names of DESIGN section 10, for people who use the client. */
export type PublicState =
  | "connecting"
  | "live"
  | "catching-up"
  | "offline"
  | "needs-auth"
  | "closed";

export const publicStates: Readonly<Record<ConnectionState, PublicState>> = {
  standby: "connecting",
  connecting: "connecting",
  "catching-up": "catching-up",
  live: "live",
  waiting: "offline",
  paused: "offline",
  "needs-auth": "needs-auth",
  refused: "closed",
  closed: "closed",
};

/** Whether the service may be asked: not before the stream stands, or changes would go unheard. */
export function mayRead(state: ConnectionState): boolean {
  return state === "live" || state === "catching-up";
}

/** Whether waiting mutations are sent. They need no stream; each attempt to connect is one for them. */
export function mayWrite(state: ConnectionState): boolean {
  return mayRead(state) || state === "connecting";
}
