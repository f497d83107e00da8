import * as v from "valibot";
import { systemClock, type Clock } from "../base/clock.ts";
import type { Api } from "./api.ts";
import { ApiError, CommandError, readJson } from "./errors.ts";
import { backoffMs } from "../base/backoff.ts";

const headSchema = v.object({
  snapshot: v.looseObject({ sequence: v.number(), history_id: v.string() }),
});
const recordSchema = v.looseObject({
  resource_type: v.string(),
  resource: v.looseObject({ id: v.string() }),
});
const tombstoneSchema = v.looseObject({ resource_type: v.string(), deleted: v.string() });
const endSchema = v.looseObject({ end: v.looseObject({}) });

/** What to export. */
export interface SnapshotOptions {
  readonly library: string;
  readonly types?: string;
  readonly onNotice: (sentence: string) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** How far the lines of a snapshot have come; survives connections. */
interface Position {
  head: { sequence: number; historyId: string } | null;
  type: string | null;
  /** The last record of `type`, and the last tombstone: each list is in the order of ids. */
  resourceId: string;
  tombstoneId: string;
  attempt: number;
  readonly counts: Record<string, number>;
}

const attemptsMax = 8;

/**
 * Yields the lines of one snapshot, without their ends, over as many connections as it takes. The
 * sequence stays that of the first one: who tails from there misses nothing.
 * @throws ApiError, CommandError when the library is replaced meanwhile or nobody answers any more
 */
export async function* readSnapshot(api: Api, options: SnapshotOptions): AsyncGenerator<string> {
  const { clock = systemClock, random = Math.random } = options;
  const position: Position = {
    head: null,
    type: null,
    resourceId: "",
    tombstoneId: "",
    attempt: 0,
    counts: {},
  };
  for (;;) {
    try {
      for await (const line of readConnection(api, options, position)) {
        const shown = accept(line, position);
        if (shown === null) continue;
        yield shown;
        if (shown.startsWith('{"end"')) return;
      }
    } catch (error) {
      const isFinal = error instanceof ApiError || error instanceof SnapshotChanged;
      if (isFinal || position.head === null || position.attempt >= attemptsMax) throw error;
    }
    if (position.attempt >= attemptsMax) {
      throw new CommandError(
        "The snapshot ended too early, again and again; the export is not complete.",
      );
    }
    const waitMs = backoffMs(position.attempt, random());
    position.attempt += 1;
    options.onNotice(`The connection dropped; going on in ${(waitMs / 1_000).toFixed(1)} s.`);
    await clock.sleep(waitMs);
  }
}

class SnapshotChanged extends CommandError {}

async function* readConnection(
  api: Api,
  { library, types }: SnapshotOptions,
  { type, resourceId }: Position,
): AsyncGenerator<string> {
  const response = await api.request(`/v1/libraries/${library}/snapshot`, {
    query: { types, after_key: type === null ? undefined : `${type}:${resourceId}` },
    headers: { accept: "application/x-ndjson" },
  });
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    // A last line without its end may be cut off, so it never counts.
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Returns the line to write, or null for what an earlier connection brought. */
function accept(line: string, position: Position): string | null {
  if (line.trim() === "") return null;
  const value = readJson(line);
  const record = v.safeParse(recordSchema, value);
  if (record.success) {
    const { resource_type, resource } = record.output;
    if (!enter(position, resource_type) && resource.id <= position.resourceId) return null;
    position.resourceId = resource.id;
    position.counts[resource_type] = (position.counts[resource_type] ?? 0) + 1;
    return line;
  }
  const tombstone = v.safeParse(tombstoneSchema, value);
  if (tombstone.success) {
    const { resource_type, deleted } = tombstone.output;
    if (!enter(position, resource_type) && deleted <= position.tombstoneId) return null;
    position.tombstoneId = deleted;
    return line;
  }
  const head = v.safeParse(headSchema, value);
  if (head.success) return acceptHead(line, head.output.snapshot, position);
  const end = v.safeParse(endSchema, value);
  if (end.success) return formatEnd(line, end.output.end, position);
  throw new CommandError(`The snapshot has a line that is no record: ${line.slice(0, 80)}`);
}

function acceptHead(
  line: string,
  { sequence, history_id: historyId }: { sequence: number; history_id: string },
  position: Position,
): string | null {
  if (position.head === null) {
    position.head = { sequence, historyId };
    return line;
  }
  if (position.head.historyId === historyId) return null;
  throw new SnapshotChanged("The library was replaced during the export; start it again.");
}

/** The service counts what one connection carried; over several, the counts here are the true ones. */
function formatEnd(
  line: string,
  end: Readonly<Record<string, unknown>>,
  position: Position,
): string {
  if (position.type === null || position.head === null) return line;
  const told = v.safeParse(v.record(v.string(), v.number()), end["counts"]);
  const counts = { ...(told.success ? told.output : {}), ...position.counts };
  return JSON.stringify({ end: { ...end, sequence: position.head.sequence, counts } });
}

/** Tells whether the line is the first of its type; progress means that the connection is good. */
function enter(position: Position, type: string): boolean {
  position.attempt = 0;
  if (position.type === type) return false;
  position.type = type;
  position.resourceId = "";
  position.tombstoneId = "";
  return true;
}
