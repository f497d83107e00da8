import * as v from "valibot";
import type { Api } from "./api.ts";
import { UsageError, readJson } from "./errors.ts";

const headSchema = v.object({ snapshot: v.looseObject({ types: v.array(v.string()) }) });
const lineSchema = v.looseObject({
  resource_type: v.string(),
  resource: v.looseObject({ id: v.string() }),
});
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

/** What to take of a file that `export` wrote. */
export interface ExportedPart {
  readonly type: string;
  readonly fields: ReadonlySet<string> | null;
}

/** Yields the records of one type as lines of JSON; what the service itself adds to them stays behind. */
export async function* readExported(
  lines: AsyncIterable<string>,
  { type, fields }: ExportedPart,
): AsyncGenerator<string> {
  const name = JSON.stringify(type);
  for await (const line of lines) {
    // Most lines of other types are known without being read.
    if (!line.includes(name)) continue;
    const parsed = v.safeParse(lineSchema, readJson(line));
    if (!parsed.success || parsed.output.resource_type !== type) continue;
    const { id, version: _version, ...rest } = parsed.output.resource;
    const taken = Object.entries(rest).filter(([field]) => fields?.has(field) ?? true);
    yield `${JSON.stringify({ id, ...Object.fromEntries(taken) })}\n`;
  }
}
