import { expect, test } from "bun:test";
import { mayRead, mayWrite, nextState } from "../../src/client/state.ts";
import type { ConnectionEvent, ConnectionState } from "../../src/client/state.ts";

const events: ConnectionEvent[] = [
  "lead",
  "opened",
  "caughtUp",
  "restart",
  "lost",
  "due",
  "denied",
  "tokenSet",
  "refused",
  "pause",
  "resume",
  "close",
];

/** Written by hand from SPEC.md, one row a state. `Record` without `Partial`: the compiler counts the cells. */
const expected: Record<ConnectionState, Record<ConnectionEvent, ConnectionState>> = {
  standby: row("standby", { lead: "connecting" }),
  connecting: row("connecting", {
    opened: "catching-up",
    lost: "waiting",
    denied: "needs-auth",
    refused: "refused",
    pause: "paused",
  }),
  "catching-up": row("catching-up", {
    caughtUp: "live",
    restart: "connecting",
    tokenSet: "connecting",
    lost: "waiting",
    denied: "needs-auth",
    refused: "refused",
    pause: "paused",
  }),
  live: row("live", {
    restart: "connecting",
    tokenSet: "connecting",
    lost: "waiting",
    denied: "needs-auth",
    refused: "refused",
    pause: "paused",
  }),
  waiting: row("waiting", {
    due: "connecting",
    restart: "connecting",
    tokenSet: "connecting",
    pause: "paused",
  }),
  paused: row("paused", { resume: "connecting" }),
  "needs-auth": row("needs-auth", { tokenSet: "connecting", pause: "paused" }),
  refused: row("refused", { tokenSet: "connecting", pause: "paused" }),
  closed: row("closed", {}),
};

function row(
  state: ConnectionState,
  but: Partial<Record<ConnectionEvent, ConnectionState>>,
): Record<ConnectionEvent, ConnectionState> {
  const all = Object.fromEntries(events.map((event) => [event, state]));
  return { ...all, close: "closed", ...but } as Record<ConnectionEvent, ConnectionState>;
}

const states = Object.keys(expected) as ConnectionState[];

test("C1: every cell of the table is the one of SPEC.md", () => {
  const table = states.map((state) => {
    const cells = events.map((event) => [event, nextState(state, event)]);
    return [state, Object.fromEntries(cells)];
  });
  expect(Object.fromEntries(table)).toEqual(expected);
});

test("C1: every state but closed can be left, and live can be reached from it", () => {
  for (const start of states) {
    const reached = new Set([start]);
    for (const state of reached) for (const event of events) reached.add(nextState(state, event));
    expect([start, reached.has("live")]).toEqual([start, start !== "closed"]);
  }
});

test("C2: nothing is read before the stream stands, and nothing at all goes out while it must not", () => {
  expect(states.filter(mayRead)).toEqual(["catching-up", "live"]);
  expect(states.filter(mayWrite)).toEqual(["connecting", "catching-up", "live"]);
});
