import * as v from "valibot";
import type { Api } from "./api.ts";
import { UsageError, readJson } from "./errors.ts";

const headSchema = v.object({ snapshot: v.looseObject({ types: v.array(v.string()) }) });
const lineSchema = v.looseObject({
  resource_type: v.string(),
  resource: v.looseObject({ id: v.string() }),
});
const endSchema = v.object({ end: v.looseObject({ counts: v.record(v.string(), v.number()) }) });
const documentSchema = v.object({
  components: v.object({
    schemas: v.record(
      v.string(),
      v.looseObject({ properties: v.optional(v.record(v.string(), v.unknown())) }),
    ),
  }),
});

/** The types in a file that `export` wrote, each behind those it rests on. @throws UsageError for another */
export async function readExportedTypes(
  lines: AsyncIterable<string>,
  path: string,
): Promise<readonly string[]> {
  for await (const line of lines) {
    const head = v.safeParse(headSchema, readJson(line));
    if (head.success) return head.output.snapshot.types;
    break;
  }
  throw new UsageError(
    `${path} does not say what its records are; pass --type NAME. Only a file of \`syncline export\` needs none.`,
  );
}

/** Tells the fields that a service takes for a type; null for one that takes any, or that it does not know. */
export async function readFields(api: Api): Promise<(type: string) => ReadonlySet<string> | null> {
  const { components } = await api.json("/openapi.json", documentSchema);
  return (type) => {
    const { properties } = components.schemas[type] ?? {};
    return properties === undefined ? null : new Set(Object.keys(properties));
  };
}

/** How many records of one type a file holds. */
export interface Tally {
  foundCount: number;
  /** What its last line says there are; null in a file that was cut off before it. */
  toldCount: number | null;
}

/** What to take of a file that `export` wrote. */
export interface ExportedPart {
  readonly type: string;
  readonly fields: ReadonlySet<string> | null;
  /** Counts anew at each reading. */
  readonly tally: Tally;
}

/**
 * Yields the records of one type as lines of JSON; what the service itself adds to them stays behind. A line
 * that is damaged goes on as it is: the service refuses it, and says at which index.
 */
export async function* readExported(
  lines: AsyncIterable<string>,
  { type, fields, tally }: ExportedPart,
): AsyncGenerator<string> {
  const name = JSON.stringify(type);
  tally.foundCount = 0;
  tally.toldCount = null;
  for await (const line of lines) {
    // Most lines of other types are known without being read.
    const isEnd = /^\s*\{\s*"end"/.test(line);
    if (!isEnd && !line.includes(name)) continue;
    const value = readJson(line);
    const end = v.safeParse(endSchema, value);
    if (end.success) tally.toldCount = end.output.end.counts[type] ?? 0;
    if (value === null) {
      tally.foundCount += 1;
      yield `${line}\n`;
    }
    const parsed = v.safeParse(lineSchema, value);
    if (!parsed.success || parsed.output.resource_type !== type) continue;
    tally.foundCount += 1;
    const { id, version: _version, ...rest } = parsed.output.resource;
    const taken = Object.entries(rest).filter(([field]) => fields?.has(field) ?? true);
    yield `${JSON.stringify({ id, ...Object.fromEntries(taken) })}\n`;
  }
}
