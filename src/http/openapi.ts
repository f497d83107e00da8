import type { StandardSchemaV1 } from "@standard-schema/spec";
import { toJsonSchema, toStandardJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { toSnakeCase } from "../base/case.ts";
import {
  actionSchema,
  batchSchema,
  commitSchema,
  librarySchema,
  mutationsSchema,
  querySchema,
  revocationSchema,
} from "../protocol/commit.ts";
import { errorTable } from "../protocol/errors.ts";
import {
  confirmSchema,
  decideSchema,
  deviceSchema,
  followSchema,
  handOverSchema,
  joinSchema,
  mergeSchema,
  pairSchema,
  positionSchema,
  resumeSchema,
  setupSchema,
} from "../protocol/setup.ts";
import { PROTOCOL_VERSION } from "../protocol/version.ts";
import type { Registry } from "../resource/registry.ts";

type Json = Record<string, unknown>;

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
  const { $schema: _schema, ...json } = source[side]({ target: "draft-2020-12" }) as Json;
  return json;
}

/** The JSON Schema of a plugin's own input, with wire names. */
export function inputSchema(schema: StandardSchemaV1): Json {
  const json = toPluginSchema(schema, "input");
  const rename = (record: object) =>
    Object.fromEntries(
      Object.entries(record).map(([key, value]) => [toSnakeCase(key), value as unknown]),
    );
  return {
    ...json,
    ...(typeof json["properties"] === "object" && json["properties"] !== null
      ? { properties: rename(json["properties"]) }
      : {}),
    ...(Array.isArray(json["required"])
      ? { required: (json["required"] as string[]).map(toSnakeCase) }
      : {}),
  };
}

/** What each route does, in the words a reader of the document needs. */
const summaries: Readonly<Record<string, string>> = {
  "post /v1/libraries": "Create a library",
  "get /v1/libraries": "List libraries",
  "get /v1/libraries/{library}": "Read a library",
  "delete /v1/libraries/{library}": "Delete a library",
  "post /v1/libraries/{library}/commit": "Commit one change",
  "post /v1/libraries/{library}/batch": "Commit 1 to 1,000 changes",
  "post /v1/libraries/{library}/mutations":
    "Commit a line of mutations in their order, each by itself",
  "post /v1/libraries/{library}/bulk": "Write a stream of records, with one log entry",
  "get /v1/libraries/{library}/bulk/{token}": "Read the state of a bulk operation",
  "post /v1/libraries/{library}/actions/{name}": "Run an action",
  "get /v1/libraries/{library}/conflicts": "List late changes that wait for a person",
  "post /v1/libraries/{library}/conflicts/{id}/resolve": "Decide what becomes of a late change",
  "post /v1/libraries/{library}/query/{name}": "Ask a query",
  "get /v1/libraries/{library}/query/{name}": "Ask a query",
  "get /v1/libraries/{library}/events": "Follow the library's events",
  "get /v1/libraries/{library}/log": "Read the sync log after a cursor",
  "get /v1/libraries/{library}/snapshot": "Read all records",
  "get /v1/libraries/{library}/checksum": "Read the checksum of each type",
  "get /v1/libraries/{library}/mutations/{id}": "Ask what became of a mutation",
  "get /v1/libraries/{library}/leader": "Ask who leads the library",
  "post /v1/libraries/{library}/stream-tickets": "Get a one-time ticket for EventSource",
  "get /v1/libraries/{library}/resources/{type}": "List records",
  "get /v1/libraries/{library}/resources/{type}/{id}": "Read a record",
  "get /v1/libraries/{library}/devices": "List the library's devices",
  "get /v1/libraries/{library}/devices/{device}": "Read a device",
  "post /v1/libraries/{library}/devices": "Register a device",
  "post /v1/libraries/{library}/devices/{device}": "Register a device",
  "delete /v1/libraries/{library}/devices/{device}": "Revoke a device, and all its tokens",
  "get /v1/libraries/{library}/positions": "Read how far each device is",
  "post /v1/libraries/{library}/positions": "Acknowledge a position",
  "post /v1/pairing/codes": "Make a code that lets a device in, once, for five minutes",
  "post /v1/pairing/join": "Name a device and its key with a code, and get a challenge",
  "post /v1/pairing/confirm": "Send the signed challenge, and get a token",
  "get /v1/sync-setup/discover": "See the libraries of this or another service",
  "get /v1/pairing/requests": "List devices that wait for an owner",
  "post /v1/pairing/requests/{request}": "Let a device in that waits, or send it away",
  "post /v1/sync-setup": "Register two devices with each other, or merge libraries",
  "post /v1/libraries/{library}/merge": "Take records of another library, for its merge",
  "post /v1/libraries/{library}/hand-over":
    "End a library that was merged, and follow the one it went into",
  "get /v1/jobs/{job}": "Read a job",
  "delete /v1/jobs/{job}": "Cancel a job",
  "post /v1/following": "Follow a library of another service",
  "get /v1/libraries/{library}/follower": "Read the state of this node's follower",
  "post /v1/libraries/{library}/follower/resume": "Go on after a halt",
  "delete /v1/libraries/{library}/follower/rejected/{mutation}": "Forget a refused write",
  "post /v1/libraries/{library}/leader/release": "Give the lease back",
  "post /v1/libraries/{library}/leader/promote": "Promote this follower to leader",
  "post /v1/revocations": "Revoke a token, or all tokens of a subject",
};

const bodies: Readonly<Record<string, GenericSchema>> = {
  "post /v1/libraries/{library}/devices": deviceSchema,
  "post /v1/libraries/{library}/positions": positionSchema,
  "post /v1/following": followSchema,
  "post /v1/pairing/codes": pairSchema,
  "post /v1/pairing/join": joinSchema,
  "post /v1/pairing/confirm": confirmSchema,
  "post /v1/pairing/requests/{request}": decideSchema,
  "post /v1/sync-setup": setupSchema,
  "post /v1/libraries/{library}/merge": mergeSchema,
  "post /v1/libraries/{library}/hand-over": handOverSchema,
  "post /v1/libraries/{library}/follower/resume": resumeSchema,
  "post /v1/libraries": librarySchema,
  "post /v1/libraries/{library}/commit": commitSchema,
  "post /v1/libraries/{library}/batch": batchSchema,
  "post /v1/libraries/{library}/mutations": mutationsSchema,
  "post /v1/libraries/{library}/actions/{name}": actionSchema,
  "post /v1/libraries/{library}/query/{name}": querySchema,
  "post /v1/revocations": revocationSchema,
};

function describeRoute(key: string, path: string, body: Json | undefined): Json {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  return {
    summary: summaries[key] ?? key,
    parameters: names.map((name) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: body } } } }),
    responses: {
      "2XX": { description: "Done." },
      default: {
        description: "A problem (RFC 9457).",
        content: {
          "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
        },
      },
    },
  };
}

/** One type's own commit: the general one with this type's fields. */
function commitOf(resourceSchema: string): Json {
  const { properties, ...rest } = toJsonSchema(commitSchema, { errorMode: "ignore" }) as Json;
  const { resource_type: _type, ...others } = properties as Json;
  const data = { $ref: `#/components/schemas/${resourceSchema}` };
  return { ...rest, required: ["operation", "id"], properties: { ...others, data } };
}

/** One type's bulk: a stream of its records, whose whole no schema can describe. */
function describeBulk(type: string, path: string): Json {
  const record = {
    type: "object",
    required: ["id"],
    allOf: [{ $ref: `#/components/schemas/${type}` }],
    properties: { id: { type: "string", format: "uuid" } },
  };
  const content = { "application/x-ndjson": { schema: record } };
  return {
    ...describeRoute(`Write a stream of ${type} records`, path, undefined),
    requestBody: { required: true, content },
  };
}

/** The document of `GET /openapi.json`: 3.1, from the schemas that validate. */
export function describeApi(
  registry: Registry,
  routes: readonly { readonly method: string; readonly path: string }[],
): Json {
  const schemas: Json = {
    Problem: {
      type: "object",
      required: ["type", "title", "status", "detail", "code", "retry"],
      properties: {
        type: { type: "string" },
        title: { type: "string" },
        status: { type: "integer" },
        detail: { type: "string" },
        code: { enum: Object.keys(errorTable) },
        retry: { enum: ["never", "later", "leader", "snapshot"] },
      },
    },
  };
  const paths: Record<string, Json> = {};
  const add = (method: string, path: string, route: Json): void => {
    paths[path] = { ...paths[path], [method]: route };
  };
  for (const { method, path } of routes) {
    if (method === "ALL" || path.includes("/resources/:type/")) continue;
    const named = path.replace(/:(\w+)/g, "{$1}");
    const key = `${method.toLowerCase()} ${named}`;
    const body = bodies[key];
    const json =
      body === undefined ? undefined : (toJsonSchema(body, { errorMode: "ignore" }) as Json);
    add(method.toLowerCase(), named, describeRoute(key, named, json));
  }
  for (const { type, definition, domain } of registry.resources) {
    if (domain === "state") continue;
    schemas[type] = inputSchema(definition.input);
    const path = `/v1/libraries/{library}/resources/${type}`;
    add(
      "post",
      `${path}/commit`,
      describeRoute(`Commit one ${type}`, `${path}/commit`, commitOf(type)),
    );
    const { mutation_id, ...change } = commitOf(type)["properties"] as Json;
    const changes = {
      type: "array",
      minItems: 1,
      maxItems: 1_000,
      items: { type: "object", required: ["operation", "id"], properties: change },
    };
    const batch = { type: "object", required: ["changes"], properties: { changes, mutation_id } };
    add(
      "post",
      `${path}/batch`,
      describeRoute(`Commit many of type ${type}`, `${path}/batch`, batch),
    );
    add("post", `${path}/bulk`, describeBulk(type, `${path}/bulk`));
    add("get", `${path}/{id}`, describeRoute(`Read one ${type}`, `${path}/{id}`, undefined));
  }
  return {
    openapi: "3.1.0",
    info: { title: "Syncline", version: String(PROTOCOL_VERSION) },
    security: [{ bearer: [] }],
    components: { schemas, securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
    paths,
  };
}
