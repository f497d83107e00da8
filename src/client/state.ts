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

type Row = Readonly<Record<ConnectionEvent, ConnectionState>>;

const opening: Row = {
  lead: "connecting",
  opened: "catching-up",
  caughtUp: "connecting",
  restart: "connecting",
  lost: "waiting",
  due: "connecting",
  denied: "needs-auth",
  tokenSet: "connecting",
  refused: "refused",
  pause: "paused",
  resume: "connecting",
  close: "closed",
};
/** A row that stays where it is, but for what is named. */
const stay = (state: ConnectionState, but: Partial<Row>): Row => ({
  lead: state,
  opened: state,
  caughtUp: state,
  restart: state,
  lost: state,
  due: state,
  denied: state,
  tokenSet: state,
  refused: state,
  pause: state,
  resume: state,
  close: "closed",
  ...but,
});
const open = {
  restart: "connecting",
  lost: "waiting",
  denied: "needs-auth",
  pause: "paused",
} as const;

export const transitions: Readonly<Record<ConnectionState, Row>> = {
  standby: stay("standby", { lead: "connecting" }),
  connecting: opening,
  "catching-up": stay("catching-up", { ...open, caughtUp: "live", refused: "refused" }),
  live: stay("live", { ...open, refused: "refused" }),
  waiting: stay("waiting", {
    due: "connecting",
    tokenSet: "connecting",
    restart: "connecting",
    pause: "paused",
  }),
  paused: stay("paused", { resume: "connecting" }),
  "needs-auth": stay("needs-auth", { tokenSet: "connecting", pause: "paused" }),
  refused: stay("refused", { tokenSet: "connecting", pause: "paused" }),
  closed: stay("closed", {}),
};

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
export const mayRead: Readonly<Record<ConnectionState, boolean>> = {
  standby: false,
  connecting: false,
  "catching-up": true,
  live: true,
  waiting: false,
  paused: false,
  "needs-auth": false,
  refused: false,
  closed: false,
};

/** Whether waiting mutations are sent. They need no stream; each attempt to connect is one for them. */
export const mayWrite: Readonly<Record<ConnectionState, boolean>> = {
  ...mayRead,
  connecting: true,
};
