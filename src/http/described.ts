/**
 * The routes in words and schemas: what OpenAPI is written from. `test/support/described.ts` holds the
 * answers of every test against it.
 *
 * @module
 */
import * as v from "valibot";
import type { GenericSchema } from "valibot";
import * as answers from "../protocol/answers.ts";
import * as bodies from "../protocol/commit.ts";
import * as setup from "../protocol/setup.ts";
import { uuid } from "../protocol/text.ts";
import { EVENTS_MSGPACK, MSGPACK, RECORDS_MSGPACK, RECORDS_NDJSON } from "./media.ts";

/** A route by its method and path, as in "get /v1/libraries/{library}". */
export interface Described {
  /** What it does, in the words a reader of the document needs. */
  readonly summary: string;
  readonly body?: GenericSchema;
  /** What may stand behind the `?`. */
  readonly query?: Readonly<Record<string, GenericSchema>>;
  readonly headers?: Readonly<Record<string, GenericSchema>>;
  /** By status; null for one without a body. */
  readonly answers: Readonly<Record<number, GenericSchema | null>>;
  /** What is sent, where it is neither JSON nor msgpack; the schema is then one record. */
  readonly sends?: readonly string[];
  /** What answers, where it is not JSON or msgpack as the caller likes; a schema is then one line. */
  readonly media?: readonly string[];
  /** Who may ask; the bearer of a token unless said otherwise. */
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

const text = v.optional(v.string());
const flag = v.optional(v.literal("1"));
const sequence = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)));
const limit = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)));
/** Waits up to 5 s until this node has that sequence. */
const read = { min_sequence: sequence };
const page = { limit, after: text };

/** A write of a library: a replica may keep it (202) when it was asked to. */
const write = (summary: string, body: GenericSchema, answer: GenericSchema): Described => ({
  summary,
  body,
  query: { queue: flag },
  headers: { "X-Device-Id": text },
  answers: { 200: answer, 202: answers.queuedAnswer },
});
const get = (
  summary: string,
  answer: GenericSchema,
  query: Described["query"] = {},
): Described => ({
  summary,
  query,
  answers: { 200: answer },
});
const post = (summary: string, body: GenericSchema, answer: GenericSchema): Described => ({
  summary,
  body,
  answers: { 200: answer },
});

/** Whoever comes may ask. */
const open = { security: [] };

const library = "/v1/libraries/{library}";
const upload: Described = {
  summary: "Write a stream of records, with one log entry",
  body: v.looseObject({ id: uuid }),
  sends: [RECORDS_NDJSON, RECORDS_MSGPACK],
  query: bodies.bulkQuerySchema.entries,
  headers: { "X-Device-Id": text },
  answers: { 200: answers.bulkAnswer },
};
const register: Described = {
  summary: "Register a device",
  body: setup.deviceSchema,
  answers: { 201: answers.deviceAnswer },
};

const writes: Readonly<Record<string, Described>> = {
  [`post ${library}/commit`]: write("Commit one change", bodies.commitSchema, answers.commitAnswer),
  [`post ${library}/batch`]: write(
    "Commit 1 to 1,000 changes",
    bodies.batchSchema,
    answers.batchAnswer,
  ),
  [`post ${library}/mutations`]: {
    ...write(
      "Commit a line of mutations in their order, each by itself",
      bodies.mutationsSchema,
      answers.lineAnswer,
    ),
    answers: { 200: answers.lineAnswer, 202: answers.lineAnswer },
  },
  [`post ${library}/actions/{name}`]: write(
    "Run an action",
    bodies.actionSchema,
    answers.actionAnswer,
  ),
  [`post ${library}/bulk`]: upload,
  [`get ${library}/bulk/{token}`]: get("Read the state of a bulk operation", answers.bulkAnswer),
  [`get ${library}/conflicts`]: get(
    "List late changes that wait for a person",
    answers.conflictPage,
    { ...page, types: text },
  ),
  [`post ${library}/conflicts/{id}/resolve`]: post(
    "Decide what becomes of a late change",
    bodies.resolveSchema,
    answers.resolutionAnswer,
  ),
};

const reads: Readonly<Record<string, Described>> = {
  [`post ${library}/query/{name}`]: {
    ...post("Ask a query", bodies.querySchema, answers.queryAnswer),
    query: read,
  },
  [`get ${library}/query/{name}`]: get("Ask a query", answers.queryAnswer, {
    ...read,
    input: text,
  }),
  [`get ${library}/events`]: {
    summary: "Follow the library's events",
    query: {
      ...read,
      after: sequence,
      history_id: text,
      types: text,
      encoding: v.optional(v.picklist(["msgpack", "json"])),
      records: flag,
      ticket: text,
    },
    headers: { "Last-Event-ID": text },
    answers: { 200: null },
    media: ["text/event-stream", EVENTS_MSGPACK],
    security: [{ bearer: [] }, { ticket: [] }],
  },
  [`get ${library}/log`]: get("Read the sync log after a cursor", answers.logPage, {
    ...read,
    after: sequence,
    limit,
    history_id: text,
    types: text,
  }),
  [`get ${library}/snapshot`]: {
    ...get("Read all records", answers.snapshotLine, {
      ...read,
      types: text,
      after_key: text,
      rows: flag,
    }),
    media: [RECORDS_NDJSON, MSGPACK, RECORDS_MSGPACK],
  },
  [`get ${library}/checksum`]: get("Read the checksum of each type", answers.checksumAnswer, {
    ...read,
    types: text,
    at: sequence,
  }),
  [`get ${library}/mutations/{id}`]: get(
    "Ask what became of a mutation",
    answers.mutationAnswer,
    read,
  ),
  [`get ${library}/resources/{type}`]: get("List records", answers.resourcePage, {
    ...read,
    ...page,
  }),
  [`get ${library}/resources/{type}/{id}`]: {
    summary: "Read a record",
    query: read,
    headers: { "If-None-Match": text },
    answers: { 200: answers.resourceSchema, 304: null },
  },
};

const libraries: Readonly<Record<string, Described>> = {
  "post /v1/libraries": {
    summary: "Create a library",
    body: bodies.librarySchema,
    answers: { 201: answers.librarySummary },
  },
  "get /v1/libraries": get("List libraries", answers.libraryPage, page),
  [`get ${library}`]: get("Read a library", answers.librarySummary, read),
  [`delete ${library}`]: { summary: "Delete a library", answers: { 204: null } },
  [`get ${library}/leader`]: get("Ask who leads the library", answers.leaderAnswer, {
    through: text,
  }),
  [`post ${library}/leader/release`]: get("Give the lease back", answers.leaderAnswer),
  [`post ${library}/leader/promote`]: get(
    "Promote this follower to leader",
    answers.promotionAnswer,
  ),
  [`post ${library}/stream-tickets`]: get(
    "Get a one-time ticket for EventSource",
    answers.ticketAnswer,
  ),
  [`get ${library}/devices`]: get("List the library's devices", answers.deviceList),
  [`get ${library}/devices/{device}`]: get("Read a device", answers.deviceAnswer),
  [`post ${library}/devices`]: register,
  [`post ${library}/devices/{device}`]: register,
  [`delete ${library}/devices/{device}`]: {
    summary: "Revoke a device, and all its tokens",
    answers: { 204: null },
  },
  [`get ${library}/positions`]: get("Read how far each device is", answers.positionList),
  [`post ${library}/positions`]: post(
    "Acknowledge a position",
    setup.positionSchema,
    answers.positionAnswer,
  ),
  "post /v1/following": {
    summary: "Follow a library of another service",
    body: setup.followSchema,
    answers: { 201: answers.followerAnswer },
  },
  [`get ${library}/follower`]: get(
    "Read the state of this node's follower",
    answers.followerAnswer,
  ),
  [`post ${library}/follower/resume`]: {
    summary: "Go on after a halt",
    body: setup.resumeSchema,
    answers: { 202: answers.followerAnswer },
  },
  [`delete ${library}/follower/rejected/{mutation}`]: {
    summary: "Forget a refused write",
    answers: { 204: null },
  },
};

const joining: Readonly<Record<string, Described>> = {
  "post /v1/pairing/codes": post(
    "Make a code that lets a device in, once, for five minutes",
    setup.pairSchema,
    answers.codeAnswer,
  ),
  "post /v1/pairing/join": {
    ...post(
      "Name a device and its key with a code, and get a challenge",
      setup.joinSchema,
      answers.challengeAnswer,
    ),
    ...open,
  },
  "post /v1/pairing/confirm": {
    ...open,
    summary: "Send the signed challenge, and get a token",
    body: setup.confirmSchema,
    answers: { 200: answers.confirmAnswer, 202: answers.confirmAnswer },
  },
  "get /v1/pairing/requests": get("List devices that wait for an owner", answers.pairingRequests),
  "post /v1/pairing/requests/{request}": post(
    "Let a device in that waits, or send it away",
    setup.decideSchema,
    answers.decisionAnswer,
  ),
  "get /v1/sync-setup/discover": {
    ...get("See the libraries of this or another service", answers.discoveryAnswer, {
      device_url: text,
      library_id: text,
    }),
    headers: { "X-Remote-Token": text },
  },
  "post /v1/sync-setup": {
    ...post(
      "Register two devices with each other, or merge libraries",
      setup.setupSchema,
      answers.setupAnswer,
    ),
    headers: { "X-Remote-Token": text },
  },
  "get /v1/jobs/{job}": get("Read a job", answers.jobAnswer),
  "delete /v1/jobs/{job}": get("Cancel a job", answers.jobAnswer),
  [`post ${library}/merge`]: post(
    "Take records of another library, for its merge",
    setup.mergeSchema,
    answers.mergeAnswer,
  ),
  [`post ${library}/hand-over`]: post(
    "End a library that was merged, and follow the one it went into",
    setup.handOverSchema,
    answers.handOverAnswer,
  ),
  "post /v1/revocations": {
    summary: "Revoke a token, or all tokens of a subject",
    body: bodies.revocationSchema,
    answers: { 204: null },
  },
};

const document = (summary: string, media: string): Described => ({
  summary,
  answers: { 200: null },
  media: [media],
  ...open,
});
/** JSON, whatever the caller would like. */
const plain = { media: ["application/json"], ...open };

/** All routes but those of one type, which each registered type has for itself. */
export const described: Readonly<Record<string, Described>> = {
  ...writes,
  ...reads,
  ...libraries,
  ...joining,
  "get /healthz": { ...get("Ask whether the process lives", answers.healthAnswer), ...plain },
  "get /readyz": { ...get("Ask whether it can commit", answers.readyAnswer), ...plain },
  "get /metrics": {
    ...document("Read the figures, as Prometheus does", "text/plain"),
    security: [{}, { bearer: [] }],
  },
  "get /docs": document("Read about every route", "text/html"),
  "get /openapi.json": {
    ...get("Read this document", v.record(v.string(), v.unknown())),
    ...plain,
  },
};
