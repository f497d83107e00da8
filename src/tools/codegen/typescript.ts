import { unreachable } from "../../base/assert.ts";
import type { Field, Model, ModelAction, ModelQuery, ModelResource, Shape } from "./model.ts";
import { toPascalCase, toTypeName, toWords } from "./model.ts";

/** What the generated file uses or names itself. */
const taken =
  toWords(`Answer ActionName ActionOutput Array DecodedEvent Envelope Error Extract Kind Map Object
  QueryAnswer QueryName Readonly Record Related ResourceType ResourceTypeMap Returned String TypedResource`);
const toName = (type: string): string => toTypeName(type, taken);

const toKey = (name: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);

function toSchema(shape: Shape): string {
  switch (shape.kind) {
    case "text":
      return "v.string()";
    case "integer":
      return "v.pipe(v.number(), v.safeInteger())";
    case "real":
      return "v.number()";
    case "boolean":
      return "v.boolean()";
    case "json":
      return "v.unknown()";
    case "choice":
      return `v.picklist(${JSON.stringify(shape.values)})`;
    case "list":
      return `v.array(${toSchema(shape.item)})`;
    case "record":
      return `v.looseObject({ ${shape.fields.map((field) => toEntry(field).trim()).join(" ")} })`;
    default:
      return unreachable(shape);
  }
}

function toEntry({ name, shape, isNullable, isOptional }: Field): string {
  const nullable = isNullable ? `v.nullable(${toSchema(shape)})` : toSchema(shape);
  return `  ${toKey(name)}: ${isOptional ? `v.optional(${nullable})` : nullable},`;
}

function writeResource({ type, fields }: ModelResource): string {
  const name = toName(type);
  const entries = [
    "  id: v.string(),",
    "  version: v.pipe(v.number(), v.safeInteger()),",
    ...(fields ?? []).map(toEntry),
  ];
  const note =
    fields === null ? "/** Its other fields are made by a function of its plugin. */\n" : "";
  return `${note}export const ${name} = v.looseObject({
${entries.join("\n")}
});
export type ${name} = v.InferOutput<typeof ${name}>;
`;
}

function writeInput(
  { name, input }: { readonly name: string; readonly input: readonly Field[] },
  suffix: string,
): string {
  const entries = input.map(toEntry).join("\n");
  return `export const ${toPascalCase(name)}${suffix} = v.object({${entries === "" ? "" : `\n${entries}\n`}});
`;
}

function writeOutput({ name, output }: ModelAction): string {
  const schema = output === null ? "v.unknown()" : toSchema(output);
  return `export const ${toPascalCase(name)}Output = ${schema};
`;
}

function writeQueries(queries: readonly ModelQuery[]): string {
  const rows = queries.map(({ name, returns, related }) => {
    const input = `${toPascalCase(name)}Query`;
    const types = `returns: ${JSON.stringify(returns)}, related: ${JSON.stringify(related)}`;
    return `  ${JSON.stringify(name)}: { input: ${input}, ${types} },`;
  });
  return `export const queries = {
${rows.join("\n")}
} as const;
`;
}

function writeActions(actions: readonly ModelAction[]): string {
  const rows = actions.map(({ name }) => {
    const title = toPascalCase(name);
    return `  ${JSON.stringify(name)}: { input: ${title}Action, output: ${title}Output },`;
  });
  return `export const actions = {
${rows.join("\n")}
} as const;
`;
}

/** What is the same for every registry: no case for any type, so a new one changes nothing here. */
const runtime = `export type ResourceTypeMap = {
  [Type in keyof typeof resourceTypeMap]: v.InferOutput<(typeof resourceTypeMap)[Type]>;
};
export type ResourceType = keyof ResourceTypeMap;

export function isResourceType(type: string): type is ResourceType {
  return Object.hasOwn(resourceTypeMap, type);
}

/** A resource of a type, checked. Throws for an unknown type, and ValiError for what does not fit. */
export function decodeResource<Type extends ResourceType>(
  type: Type,
  data: unknown,
): ResourceTypeMap[Type] {
  if (!isResourceType(type)) throw new Error(\`Unknown resource type: \${String(type)}\`);
  return v.parse(resourceTypeMap[type], data) as ResourceTypeMap[Type];
}

export type ActionName = keyof typeof actions;
export type ActionOutput<Name extends ActionName> = v.InferOutput<(typeof actions)[Name]["output"]>;

/** What an action answered beside its records, checked. Throws ValiError for what does not fit. */
export function decodeOutput<Name extends ActionName>(
  name: Name,
  answer: unknown,
): ActionOutput<Name> {
  const { output } = v.parse(v.looseObject({ output: v.unknown() }), answer);
  return v.parse(actions[name].output, output) as ActionOutput<Name>;
}

export type QueryName = keyof typeof queries;
type Returned<Name extends QueryName> = Extract<(typeof queries)[Name]["returns"], ResourceType>;
type Related<Name extends QueryName> = Extract<
  (typeof queries)[Name]["related"][number],
  ResourceType
>;

export interface QueryAnswer<Name extends QueryName> {
  /** The records in their order; empty for a query of plain values. */
  readonly records: readonly ResourceTypeMap[Returned<Name>][];
  /** What the query answers: the ids of the records, or values. */
  readonly data: readonly unknown[];
  /** The records that travel along, by type; none of those that the token may not see. */
  readonly related: { readonly [Type in Related<Name>]: readonly ResourceTypeMap[Type][] };
  readonly sequence: number;
}

const Answer = v.looseObject({
  data: v.array(v.unknown()),
  included: v.record(v.string(), v.array(v.unknown())),
  meta: v.looseObject({ sequence: v.pipe(v.number(), v.safeInteger()) }),
});

/** A query's answer, checked. Throws ValiError for what does not fit. */
export function decodeAnswer<Name extends QueryName>(name: Name, answer: unknown): QueryAnswer<Name> {
  const { data, included, meta } = v.parse(Answer, answer);
  const { returns, related } = queries[name] as {
    readonly returns: ResourceType | null;
    readonly related: readonly ResourceType[];
  };
  const read = (type: ResourceType) =>
    (included[type] ?? []).map((one) => decodeResource(type, one));
  const found = returns === null ? [] : read(returns);
  const byId = new Map(found.map((one) => [one.id, one]));
  return {
    records: data.flatMap((id) => byId.get(String(id)) ?? []),
    data,
    related: Object.fromEntries(related.map((type) => [type, read(type)])),
    sequence: meta.sequence,
  } as unknown as QueryAnswer<Name>;
}

export const Envelope = v.looseObject({
  id: v.string(),
  timestamp: v.string(),
  library_id: v.string(),
  sequence: v.optional(v.pipe(v.number(), v.safeInteger())),
  span: v.optional(v.pipe(v.number(), v.safeInteger())),
  epoch: v.pipe(v.number(), v.safeInteger()),
  transaction_id: v.optional(v.string()),
  mutation_id: v.optional(v.string()),
});
export type Envelope = v.InferOutput<typeof Envelope>;

const Kind = v.looseObject({ type: v.string(), data: v.record(v.string(), v.unknown()) });

/** A resource with its type; narrow it by \`type\`. */
export type TypedResource = {
  [Type in ResourceType]: { readonly type: Type; readonly resource: ResourceTypeMap[Type] };
}[ResourceType];

export interface DecodedEvent {
  readonly envelope: Envelope;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The records that were created or changed. */
  readonly changed: readonly TypedResource[];
  readonly deleted: readonly { readonly type: string; readonly id: string }[];
  /** They changed, but their content could not travel: they are to be read again. */
  readonly touched: readonly { readonly type: string; readonly id: string }[];
  /** What did not fit, one by one: the others are there. What they name is to be read again. */
  readonly problems: readonly { readonly type: string; readonly id: unknown; readonly error: unknown }[];
}

/** An event of the stream. Throws only when it is no event; a bad record becomes one of \`problems\`. */
export function decodeEvent(value: unknown): DecodedEvent {
  const { envelope, kind } = v.parse(v.looseObject({ envelope: Envelope, kind: Kind }), value);
  const { data } = kind;
  const type = String(data["resource_type"] ?? "");
  const list = (name: string): unknown[] => {
    const found = data[name];
    return Array.isArray(found) ? found : [];
  };
  const single = data["resource"];
  const changed: TypedResource[] = [];
  const problems: { type: string; id: unknown; error: unknown }[] = [];
  for (const given of [...list("resources"), ...(single == null ? [] : [single])]) {
    try {
      const resource = decodeResource(type as ResourceType, given);
      changed.push({ type, resource } as TypedResource);
    } catch (error) {
      problems.push({ type, id: (given as { id?: unknown } | null)?.id, error });
    }
  }
  const only = data["resource_id"] === undefined ? [] : [data["resource_id"]];
  const isGone = kind.type === "ResourceDeleted";
  const name = (id: unknown) => ({ type, id: String(id) });
  return {
    envelope,
    kind: kind.type,
    data,
    changed,
    deleted: [...list("deleted_ids"), ...(isGone ? only : [])].map(name),
    touched: [...list("resource_ids"), ...(isGone ? [] : only)].map(name),
    problems,
  };
}
`;

/** A file that stands alone beside valibot: schemas, types, and the type registry. */
export function writeTypeScript(model: Model): string {
  const map = model.resources.map(({ type }) => `  ${type}: ${toName(type)},`);
  return `// DO NOT EDIT MANUALLY. Made by \`syncline generate\` from the registry.
import * as v from "valibot";

/** The registry this was made from; \`hello\` on the stream tells the service's own. */
export const registryHash = ${JSON.stringify(model.registryHash)};

${model.resources.map(writeResource).join("\n")}
/** Every type that travels. */
export const resourceTypeMap = {
${map.join("\n")}
} as const;

${model.queries.map((call) => writeInput(call, "Query")).join("")}
${writeQueries(model.queries)}
${model.actions.map((call) => writeInput(call, "Action") + writeOutput(call)).join("")}
${writeActions(model.actions)}
${runtime}`;
}
