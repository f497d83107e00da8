import type { Registry } from "../resource/registry.ts";
import type { Replica } from "./backfill.ts";
import { readProgress } from "./progress.ts";
import type { Upstream } from "./upstream.ts";

/** Types whose records differ, each with the leader's sum, so that a second look can tell a bulk in progress. */
export type Differences = ReadonlyMap<string, number>;

/**
 * Compares the checksum of each type with the leader's. Resolves to null when the two are not at
 * the same sequence, so that nothing can be said.
 */
export async function compareChecksums(
  replica: Replica,
  upstream: Upstream,
  registry: Registry,
): Promise<Differences | null> {
  const theirs = await upstream.checksums();
  const [heads = [], sums = []] = await replica.database.read([
    { sql: "SELECT head FROM library", args: [] },
    { sql: "SELECT resource_type, count, sum FROM checksums", args: [] },
  ]);
  if (heads[0]?.[0] !== theirs.sequence) return null;
  const noticed = (await readProgress(replica.database))?.noticedTypes ?? [];
  const differences = new Map<string, number>();
  for (const { type, domain } of registry.resources) {
    const their = theirs.checksums[type];
    if (their === undefined || domain === "state" || noticed.includes(type)) continue;
    const [, count = 0, sum = 0] = sums.find((row) => row[0] === type) ?? [];
    if (count !== their.count || sum !== their.sum) differences.set(type, their.sum);
  }
  return differences;
}
