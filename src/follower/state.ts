/**
 * The life of a follower, as a table: every event in every state. The loop in `follower.ts` does
 * what a state stands for and reports one event; nothing else moves a follower.
 *
 *     connecting ──needsSnapshot──▶ backfilling ──snapshotDone──▶ tailing ──caughtUp──▶ live
 *         ▲  ▲                                                      ▲                    │
 *         │  └────────retry──── waiting ◀──failed── (any)           └───────behind───────┤
 *         └──resume── blocked · foreign · refused                   repairing ◀─mismatch─┘
 */
export const states = [
  /** Asks the leader who it is and compares histories. */
  "connecting",
  /** Takes a snapshot of everything. */
  "backfilling",
  /** Pulls pages of the log. */
  "tailing",
  /** Has all there is; waits for a hint or the poll. */
  "live",
  /** Takes a snapshot of the types whose checksums differ. */
  "repairing",
  /** Something failed that may pass: waits, longer each time. */
  "waiting",
  /** An entry cannot be applied: unknown type, undecodable, refused. It is never skipped. */
  "blocked",
  /** The leader has another history. A person decides whether to take it. */
  "foreign",
  /** The leader does not let this device in. */
  "refused",
  /** Leads the library itself now. */
  "promoted",
  "stopped",
] as const;

export const events = [
  "needsSnapshot",
  "snapshotDone",
  "behind",
  "caughtUp",
  "mismatch",
  "repaired",
  "failed",
  "retry",
  "poison",
  "otherHistory",
  "refusal",
  "resume",
  "promote",
  "stop",
] as const;

export type State = (typeof states)[number];
export type FollowerEvent = (typeof events)[number];

/** What may happen anywhere while the follower runs. */
const anywhere = {
  failed: "waiting",
  poison: "blocked",
  otherHistory: "foreign",
  refusal: "refused",
  promote: "promoted",
  stop: "stopped",
} as const;

/** Stays as it is, whatever is reported late. */
function always(state: State): Record<FollowerEvent, State> {
  return {
    needsSnapshot: state,
    snapshotDone: state,
    behind: state,
    caughtUp: state,
    mismatch: state,
    repaired: state,
    failed: state,
    retry: state,
    poison: state,
    otherHistory: state,
    refusal: state,
    resume: state,
    promote: state,
    stop: state,
  };
}

/** Waits for a person, an upgrade, a token or better times: only these and the end move it. */
function halted(state: State): Record<FollowerEvent, State> {
  return {
    ...always(state),
    resume: "connecting",
    retry: "connecting",
    promote: "promoted",
    stop: "stopped",
  };
}

export const transitions: Readonly<Record<State, Readonly<Record<FollowerEvent, State>>>> = {
  connecting: {
    ...always("connecting"),
    ...anywhere,
    needsSnapshot: "backfilling",
    behind: "tailing",
    mismatch: "repairing",
  },
  backfilling: { ...always("backfilling"), ...anywhere, snapshotDone: "tailing" },
  tailing: {
    ...always("tailing"),
    ...anywhere,
    needsSnapshot: "backfilling",
    caughtUp: "live",
    mismatch: "repairing",
    resume: "connecting",
  },
  live: {
    ...always("live"),
    ...anywhere,
    needsSnapshot: "backfilling",
    behind: "tailing",
    mismatch: "repairing",
    resume: "connecting",
  },
  repairing: {
    ...always("repairing"),
    ...anywhere,
    needsSnapshot: "backfilling",
    repaired: "tailing",
  },
  waiting: halted("waiting"),
  blocked: halted("blocked"),
  foreign: { ...halted("foreign"), needsSnapshot: "backfilling", retry: "foreign" },
  refused: halted("refused"),
  promoted: always("promoted"),
  stopped: always("stopped"),
};

export const isOver = (state: State): boolean => state === "promoted" || state === "stopped";
export const isHalted = (state: State): boolean =>
  state === "blocked" || state === "foreign" || state === "refused";
