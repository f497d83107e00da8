import { realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { v5 } from "uuid";
import { reasonOf } from "../../base/reason.ts";
import { createId } from "../../base/id.ts";
import { systemClock } from "../../base/clock.ts";
import { batchChanges } from "../../protocol/limits.ts";
import { jsonBody, type Api } from "../api.ts";
import { uploadBulk } from "../bulk.ts";
import { chooseLibrary, connect, withLibrary, type ConnectionOptions } from "../connect.ts";
import { countOf } from "../count.ts";
import {
  createComparison,
  fileIdOf,
  toFields,
  type CurrentFile,
  type Difference,
  type FileChange,
} from "../diff.ts";
import { CommandError } from "../errors.ts";
import { createLocation, findLocation, readFiles, type LocationKey } from "../location.ts";
import { writeLine, writeNotice } from "../output.ts";
import { createProgress } from "../progress.ts";
import { createWalkReport, walk, type WalkReport } from "../walk.ts";

interface IndexOptions extends ConnectionOptions {
  readonly name?: string;
  readonly dryRun?: true;
}

/** What one run does, known before the first file is looked at. */
interface Run {
  readonly api: Api;
  readonly key: LocationKey;
  readonly locationId: string;
  readonly isDryRun: boolean;
  readonly report: WalkReport;
}

/** What a run came to. */
export interface IndexSummary extends Omit<Difference, "changes"> {
  readonly entriesWritten: number;
}

/** Leaves room below the 16 MiB a batch may have. */
const batchBytes = 8 * 1_048_576;
const dryRunListed = 20;

/** Adds `index`. */
export function addIndex(program: Command): void {
  withLibrary(program.command("index <dir>"))
    .description("bring a directory tree into a library, and later what has changed in it")
    .option("--name <name>", "what the location is called (default: the directory's name)")
    .option("--dry-run", "tell what would change, and change nothing")
    .action(indexTree);
}

async function indexTree(dir: string, options: IndexOptions): Promise<void> {
  const path = await resolveDirectory(dir);
  const { openNode } = await import("../../runtime/node-identity.ts");
  const { deviceId } = await openNode(process.env);
  const api = connect(options);
  const library = await chooseLibrary(api, options.library);
  const key: LocationKey = { library, deviceId, path };
  const startedMs = systemClock.monotonic();
  const known = await findLocation(api, key);
  // The id follows from the place, so two first runs at once cannot make two locations.
  const locationId = known ?? v5(`${deviceId}\0${path}`, library);
  const run: Run = {
    api,
    key,
    locationId,
    isDryRun: options.dryRun === true,
    report: createWalkReport(),
  };
  if (known === null && !run.isDryRun) {
    const name = options.name ?? (basename(path) || path);
    await createLocation(api, key, { id: locationId, name });
  }
  const current = known === null ? [] : await loadCurrent(run);
  const summary =
    current.length === 0 && !run.isDryRun ? await addAll(run) : await sendDifference(run, current);
  const withLocation =
    known === null && !run.isDryRun
      ? { ...summary, entriesWritten: summary.entriesWritten + 1 }
      : summary;
  tellUnreadable(run.report);
  const elapsedMs = systemClock.monotonic() - startedMs;
  writeLine(`${run.isDryRun ? "Would be: " : ""}${formatSummary(withLocation, elapsedMs)}`);
}

/** One line with everything a person asks after an index. */
export function formatSummary(summary: IndexSummary, elapsedMs: number): string {
  const seconds = elapsedMs / 1_000;
  const rate = seconds === 0 ? 0 : Math.round(summary.foundCount / seconds);
  return (
    `${summary.addedCount} added, ${summary.changedCount} changed, ${summary.movedCount} moved, ` +
    `${summary.deletedCount} deleted of ${summary.foundCount} found; ` +
    `${countOf(summary.entriesWritten, "log entry", "log entries")} written; ${seconds.toFixed(2)} s, ${rate} files/s`
  );
}

async function resolveDirectory(dir: string): Promise<string> {
  try {
    const path = await realpath(dir);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    throw new CommandError(`${dir} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  throw new CommandError(`${dir} is not a directory.`);
}

async function loadCurrent({ api, key, locationId }: Run): Promise<CurrentFile[]> {
  const progress = createProgress({ message: "Reading what the library knows" });
  const current: CurrentFile[] = [];
  for await (const file of readFiles(api, key.library, locationId)) {
    current.push(file);
    progress.advance(1, `Reading what the library knows: ${countOf(current.length, "file")}`);
  }
  progress.done(`The library knows ${countOf(current.length, "file")} of this location.`);
  return current;
}

/** The first index: one bulk, written while the tree is walked. */
async function addAll(run: Run): Promise<IndexSummary> {
  const { api, key, locationId, report } = run;
  const progress = createProgress({ message: "Indexing" });
  let foundCount = 0;
  const lines = async function* (): AsyncGenerator<string> {
    foundCount = 0;
    report.unreadableCount = 0;
    report.unreadable.length = 0;
    report.unreadPaths.clear();
    for await (const found of walk(key.path, report)) {
      const { path, parentPath } = found;
      const parentId = parentPath === null ? null : fileIdOf(locationId, parentPath);
      const id = fileIdOf(locationId, path);
      foundCount += 1;
      progress.advance(1, `Indexing: ${countOf(foundCount, "file")}`);
      yield `${JSON.stringify({ id, ...toFields(found, locationId, parentId) })}\n`;
    }
  };
  const where = { location_id: locationId, location_path: key.path };
  const hints = JSON.stringify({ operation: "InitialIndex", ...where });
  try {
    const { affected_count: addedCount } = await uploadBulk(api, {
      library: key.library,
      query: { resource_type: "file", mode: "insert", hints },
      token: createId(),
      lines,
    });
    progress.done(`Indexed ${countOf(foundCount, "file")}.`);
    const none = { changedCount: 0, movedCount: 0, deletedCount: 0 };
    return { ...none, addedCount, foundCount, entriesWritten: 1 };
  } catch (error) {
    progress.fail("Stopped; run it again to go on.");
    throw error;
  }
}

async function sendDifference(run: Run, current: readonly CurrentFile[]): Promise<IndexSummary> {
  const comparison = createComparison(run.locationId, current);
  const walking = createProgress({ message: "Looking at the directory" });
  let count = 0;
  for await (const found of walk(run.key.path, run.report)) {
    comparison.add(found);
    count += 1;
    walking.advance(1, `Looking at the directory: ${countOf(count, "file")}`);
  }
  for (const path of run.report.unreadPaths) comparison.keep(path);
  const { changes, ...counts } = comparison.finish();
  walking.done(`Found ${countOf(count, "file")}, ${countOf(changes.length, "difference")}.`);
  if (run.isDryRun) {
    for (const change of changes.slice(0, dryRunListed)) writeLine(formatChange(change));
    if (changes.length > dryRunListed) writeLine(`  and ${changes.length - dryRunListed} more`);
    return { ...counts, entriesWritten: 0 };
  }
  return { ...counts, entriesWritten: await sendBatches(run, changes) };
}

async function sendBatches({ api, key }: Run, changes: readonly FileChange[]): Promise<number> {
  if (changes.length === 0) return 0;
  const progress = createProgress({ message: "Sending changes", total: changes.length });
  let sentCount = 0;
  try {
    for (const batch of splitBatches(changes)) {
      // Sent again after a lost answer, the same id finds what the first attempt wrote.
      const body = { changes: batch, operation: "Index", mutation_id: createId() };
      await api.request(`/v1/libraries/${key.library}/batch`, jsonBody(body));
      sentCount += batch.length;
      progress.advance(batch.length, `Sending changes: ${sentCount} of ${changes.length}`);
    }
  } catch (error) {
    progress.fail(
      `Stopped after ${sentCount} of ${countOf(changes.length, "change")}; run it again to go on.`,
    );
    throw error;
  }
  progress.done(`Sent ${countOf(sentCount, "change")}.`);
  return sentCount;
}

/** Cuts changes into what one batch may hold, by count and by bytes, in their order. */
export function* splitBatches(changes: readonly FileChange[]): Generator<FileChange[]> {
  let batch: FileChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    const size = JSON.stringify(change).length * 3;
    if (batch.length > 0 && (batch.length === batchChanges || bytes + size > batchBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(change);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function formatChange(change: FileChange): string {
  const what = "data" in change ? ` ${JSON.stringify(change.data)}` : "";
  return `  ${change.operation} ${change.id}${what}`;
}

function tellUnreadable({ unreadableCount, unreadable }: WalkReport): void {
  if (unreadableCount === 0) return;
  writeNotice(`${unreadableCount} could not be read and were left out:`);
  for (const line of unreadable) writeNotice(`  ${line}`);
  const unlisted = unreadableCount - unreadable.length;
  if (unlisted > 0) writeNotice(`  and ${unlisted} more`);
}
