import type { StandardSchemaV1 } from "@standard-schema/spec";
import { toJsonSchema, toStandardJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { toCamelCase, toSnakeCase } from "../base/case.ts";
import { problemSchema, resourceSchema } from "../protocol/answers.ts";
import { batchSchema, commitSchema } from "../protocol/commit.ts";
import { PROTOCOL_VERSION } from "../protocol/version.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { Registry } from "../resource/registry.ts";
import { described } from "./described.ts";
import type { Described } from "./described.ts";
import { MSGPACK } from "./media.ts";

type Json = Record<string, unknown>;

/** What JSON Schema has no word for is left out, and then anything: one trimmed text must not cost the document. */
const libraryOptions = {
  /** Valibot's word for it. */
  errorMode: "ignore",
  /** Zod's. */
  unrepresentable: "any",
};

/** The JSON Schema of a plugin's own schema, whatever library it was written in. */
export function toPluginSchema(schema: StandardSchemaV1, side: "input" | "output"): Json {
  const standard = schema["~standard"] as {
    vendor: string;
    jsonSchema?: { input(o: object): Json; output(o: object): Json };
  };
  const source =
    standard.jsonSchema ??
    (standard.vendor === "valibot"
      ? toStandardJsonSchema(schema as unknown as GenericSchema)["~standard"].jsonSchema
      : undefined);
  if (source === undefined) return { type: "object" };
  const { $schema: _schema, ...json } = source[side]({
    target: "draft-2020-12",
    libraryOptions,
  }) as Json;
  return json;
}

/** The same with the names of the wire; what lies deeper is the plugin's own. */
function toWire({ properties, required, ...rest }: Json): Json {
  const renamed = Object.entries((properties ?? {}) as Json).map(
    ([name, schema]) => [toSnakeCase(name), schema] as const,
  );
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(renamed) }),
    ...(Array.isArray(required) ? { required: (required as string[]).map(toSnakeCase) } : {}),
  };
}

/** The JSON Schema of a plugin's own input, with wire names. */
export const inputSchema = (schema: StandardSchemaV1): Json =>
  toWire(toPluginSchema(schema, "input"));

const components = { Problem: problemSchema, Resource: resourceSchema };
const refTo = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** A schema of ours; the parts that many have stand in `components`. */
function toSchema(schema: GenericSchema, definitions: Record<string, GenericSchema> = components) {
  const {
    $schema: _schema,
    $defs: _defs,
    ...json
  } = toJsonSchema(schema, {
    errorMode: "ignore",
    target: "draft-2020-12",
    typeMode: "input",
    definitions,
    overrideRef: ({ referenceId }) => refTo(referenceId).$ref,
  }) as Json;
  return json;
}

function toParameters(path: string, { query = {}, headers = {} }: Described): Json[] {
  const toNamed = (place: string, schemas: Readonly<Record<string, GenericSchema>>) =>
    Object.entries(schemas).map(([name, schema]) => {
      const required = schema.type !== "optional";
      return { name, in: place, required, schema: toSchema(schema) };
    });
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return [...inPath, ...toNamed("query", query), ...toNamed("header", headers)];
}

/** Bodies, and answers as the caller likes. */
const EITHER = ["application/json", MSGPACK];

const toContent = (schema: Json | null, media: readonly string[] = EITHER) => ({
  content: Object.fromEntries(media.map((one) => [one, schema === null ? {} : { schema }])),
});

const problem = {
  description: "A problem (RFC 9457).",
  ...toContent(refTo("Problem"), ["application/problem+json", MSGPACK]),
};

/** What the route of one type says for itself. */
interface OfType {
  readonly summary: string;
  readonly request?: Json;
  readonly answer?: Json;
}

function describeRoute(key: string, route: Described, of?: OfType): Json {
  const [method = "", path = ""] = key.split(" ");
  const { body, media, sends, security } = route;
  const request = of?.request ?? (body === undefined ? null : toSchema(body));
  const responses = Object.entries(route.answers).map(([status, schema]) => {
    const json = schema === null ? null : (of?.answer ?? toSchema(schema));
    const isEmpty = json === null && media === undefined;
    return [status, { description: "Done.", ...(isEmpty ? {} : toContent(json, media)) }];
  });
  const words = path.replace("/v1/", "").match(/[a-z_]+/gi) ?? [];
  return {
    operationId: toCamelCase(`${method}_${words.join("_")}`),
    summary: of?.summary ?? route.summary,
    parameters: toParameters(path, route),
    ...(request === null ? {} : { requestBody: { required: true, ...toContent(request, sends) } }),
    ...(security === undefined ? {} : { security }),
    responses: { ...Object.fromEntries(responses), default: problem },
  };
}

function routeOf(key: string): Described {
  const route = described[key];
  if (route === undefined) throw new Error(`Bug: "${key}" is missing in described.ts`);
  return route;
}

/** One type's own schemas: of whole records, of what an update changes, and of records as they travel. */
function describeType({ type, definition: { input, view } }: CompiledResource) {
  const { additionalProperties, ...whole } = inputSchema(input);
  const { required: _required, ...patch } = whole;
  const { properties = {} } = view === undefined ? whole : toWire(toPluginSchema(view, "output"));
  return {
    schemas: { [type]: whole, [`${type}_patch`]: patch },
    record: { allOf: [refTo("Resource"), { type: "object", properties }] },
    // Said where they are used, so that a record may have an id beside its fields.
    closed: additionalProperties === false ? { unevaluatedProperties: false } : {},
  };
}

/** The routes that one type has for itself: the general ones, with its own fields. */
function describeTypeRoutes(resource: CompiledResource): Readonly<Record<string, Json>> {
  const { type } = resource;
  const { record, closed } = describeType(resource);
  const fields = (name: string) => ({ ...refTo(name), ...closed });
  const { properties, ...rest } = toSchema(commitSchema);
  const { resource_type: _type, ...given } = properties as Json;
  const data = { anyOf: [fields(type), fields(`${type}_patch`)] };
  const commit = { ...rest, required: ["operation", "id"], properties: { ...given, data } };
  const { mutation_id: _mutation, ...change } = commit.properties as Json;
  const { properties: ofBatch, ...batch } = toSchema(batchSchema);
  const { changes } = ofBatch as { readonly changes: Json };
  const items = { type: "object", required: commit.required, properties: change };
  const id = {
    type: "object",
    required: ["id"],
    properties: { id: { type: "string", format: "uuid" } },
  };
  const own: Readonly<Record<string, OfType>> = {
    commit: { summary: `Commit one ${type}`, request: commit },
    batch: {
      summary: `Commit many of type ${type}`,
      request: { ...batch, properties: { ...(ofBatch as Json), changes: { ...changes, items } } },
    },
    bulk: {
      summary: `Write a stream of ${type} records`,
      // A bulk of deletes has ids only.
      request: {
        anyOf: [
          { allOf: [refTo(type), id], ...closed },
          { ...id, ...closed },
        ],
      },
    },
  };
  const library = "/v1/libraries/{library}";
  const routes = Object.entries(own).map(([verb, of]) => {
    const route = routeOf(`post ${library}/${verb}`);
    const { resource_type: _named, ...query } = route.query ?? {};
    const key = `post ${library}/resources/${type}/${verb}`;
    return [key, describeRoute(key, { ...route, query }, of)] as const;
  });
  const key = `get ${library}/resources/${type}/{id}`;
  const one = routeOf(`get ${library}/resources/{type}/{id}`);
  const reading = describeRoute(key, one, { summary: `Read one ${type}`, answer: record });
  return { ...Object.fromEntries(routes), [key]: reading };
}

const securitySchemes = {
  bearer: { type: "http", scheme: "bearer" },
  ticket: { type: "apiKey", in: "query", name: "ticket" },
};

/** The document of `GET /openapi.json`: 3.1, from the schemas that validate. */
export function describeApi(
  registry: Registry,
  routes: readonly { readonly method: string; readonly path: string }[],
): Json {
  const visible = registry.resources.filter(({ domain }) => domain !== "state");
  const general = routes
    .filter(({ method, path }) => method !== "ALL" && !path.includes("/resources/:type/"))
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, "{$1}")}`)
    .map((key) => [key, describeRoute(key, routeOf(key))] as const);
  const ofTypes = visible.flatMap((one) => Object.entries(describeTypeRoutes(one)));
  const paths: Record<string, Json> = {};
  for (const [key, route] of [...general, ...ofTypes]) {
    const [method = "", path = ""] = key.split(" ");
    paths[path] = { ...paths[path], [method]: route };
  }
  const schemas = Object.assign(
    { Problem: toSchema(problemSchema, {}), Resource: toSchema(resourceSchema, {}) },
    ...visible.map((one) => describeType(one).schemas),
  ) as Json;
  return {
    openapi: "3.1.0",
    info: {
      title: "Syncline",
      version: String(PROTOCOL_VERSION),
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    components: { schemas, securitySchemes },
    paths,
  };
}
