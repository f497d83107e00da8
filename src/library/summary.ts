import type { Clock } from "../base/clock.ts";
import { isLeader } from "../lease/lease.ts";
import type { LibraryState } from "../lease/lease.ts";
import type { Database } from "../store/database.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Library } from "./library.ts";

/** What a list tells of a library. */
export type LibrarySummary = Pick<
  LibraryState,
  | "id"
  | "name"
  | "description"
  | "historyId"
  | "head"
  | "epoch"
  | "leaderDeviceId"
  | "oldestSequence"
  | "createdAt"
>;

function toSummary(state: LibraryState): LibrarySummary {
  const { id, name, description, historyId, createdAt } = state;
  const { head, epoch, leaderDeviceId, oldestSequence } = state;
  const who = { id, name, description, historyId, createdAt };
  return { ...who, head, epoch, leaderDeviceId, oldestSequence };
}

// Epoch and head only rise within a history, so that nobody's older view replaces a newer one.
const SAVE = `UPDATE libraries SET summary = told.value FROM json_each(?) AS told
  WHERE libraries.id = told.value->>'id' AND (summary IS NULL
    OR summary->>'historyId' <> told.value->>'historyId'
    OR (summary->>'epoch', summary->>'head') <= (told.value->>'epoch', told.value->>'head'))`;

/** How often a node tells how far its libraries are. */
const TELL_EVERY_MS = 5_000;

/** The states of libraries as the catalog keeps them for lists, a few seconds old at most. */
export interface Summaries {
  /** Keeps the states, in one statement. What fails is told again with the next change. */
  tell(states: readonly LibraryState[]): Promise<void>;
  /** Tells from now on what changes in the libraries that this node moves. Returns how to end that. */
  watch(open: { readonly libraries: readonly Library[] }): () => void;
}

export function createSummaries(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}): Summaries {
  const { database, clock, telemetry } = options;
  const told = new WeakMap<LibraryState, string>();
  const tell = async (states: readonly LibraryState[]): Promise<void> => {
    const changed = states
      .map((state) => ({ state, text: JSON.stringify(toSummary(state)) }))
      .filter(({ state, text }) => told.get(state) !== text);
    if (changed.length === 0) return;
    try {
      await database.write([{ sql: SAVE, args: [`[${changed.map(({ text }) => text).join()}]`] }]);
      for (const { state, text } of changed) told.set(state, text);
    } catch (error) {
      telemetry.log("error", "The catalog could not be told of libraries.", { error });
    }
  };
  const isMovedHere = (state: LibraryState): boolean => isLeader(state) || state.isReplica;
  return {
    tell,
    watch: (open) =>
      clock.every(TELL_EVERY_MS, () => {
        void tell(open.libraries.map(({ state }) => state).filter(isMovedHere));
      }),
  };
}
