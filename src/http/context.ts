import type { Context, Env } from "hono";
import { allowedTypes, requireGrant } from "../auth/capability.ts";
import type { Capability, Role } from "../auth/capability.ts";
import { MUTATION_HEADER, NODE_HEADER } from "../auth/node-credential.ts";
import { isId } from "../base/id.ts";
import type { Author } from "../commit/change.ts";
import { HISTORY_HEADER } from "../follower/upstream.ts";
import type { Catalog, Held } from "../library/catalog.ts";
import type { Library } from "../library/library.ts";
import { SyncError, toKnown } from "../protocol/errors.ts";
import { issueCharacters, issuesTold } from "../protocol/limits.ts";
import type { Service } from "../service.ts";
import type { BodyLimits } from "./body.ts";
import type { Span } from "../telemetry/telemetry.ts";
import type * as v from "valibot";
import { safeParse } from "valibot";

export interface AppEnv extends Env {
  Variables: {
    capability: Capability;
    requestId: string;
    span: Span | undefined;
    /** The library of the path, held until the request is answered: opened again it may be another. */
    held: Held | undefined;
  };
}
export type AppContext = Context<AppEnv>;

const DEVICE_CHARACTERS = 200;

/** Checks a body or a query string against its schema. @throws invalid_body with the issues */
export function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> {
  const result = safeParse(schema, value);
  if (result.success) return result.output;
  const issues = result.issues.slice(0, issuesTold).map((issue) => ({
    path: (issue.path ?? [])
      .map((part) => String(part.key))
      .join(".")
      .slice(0, issueCharacters),
    // It quotes what was received, however long that is.
    message:
      issue.expected === "never"
        ? "There is no such member."
        : issue.message.slice(0, issueCharacters),
  }));
  const [first] = issues;
  // A batch is told which of its changes cannot be read, as it is told which one is refused.
  const at = /^changes\.(\d+)/.exec(first?.path ?? "")?.[1];
  const index = at === undefined ? {} : { index: Number(at) };
  throw new SyncError("invalid_body", { issues, ...index });
}

/** What a body of this service may cost; a small one unless said otherwise. */
export function bodyLimits(service: Service, bytes = service.limits.bodyBytes): BodyLimits {
  const { limits, clock, bodies: room } = service;
  const timeout = { ms: limits.bodyTimeoutMs, clock };
  return { bytes, depth: limits.nestingDepth, timeout, room };
}

/** What a request fails with, as its caller may know it. */
export function toFailure(c: AppContext, { telemetry }: Service, error: unknown): SyncError {
  const told = { message: "A request failed.", requestId: c.get("requestId"), path: c.req.path };
  return toKnown(error, telemetry, told);
}

/** A grant for a library that was merged reaches the one it was merged into. */
function widen(capability: Capability, { resolve }: Pick<Catalog, "resolve">): Capability {
  const more = capability.grants.flatMap((grant) => {
    const library = resolve(grant.library);
    return library === grant.library ? [] : [{ ...grant, library }];
  });
  return more.length === 0
    ? capability
    : { ...capability, grants: [...capability.grants, ...more] };
}

/** Who asks, by token. @throws unauthorized, rate_limited */
export async function authenticate(c: AppContext, service: Service): Promise<Capability> {
  if ("capability" in c.var) return c.get("capability");
  const credential = c.req.header(NODE_HEADER);
  if (credential !== undefined && service.credentials !== null) {
    // The other node has verified the token and counted the request.
    c.set("capability", await service.credentials.verify(credential));
    return c.get("capability");
  }
  const header = c.req.header("authorization");
  if (header === undefined || !/^bearer /i.test(header)) {
    const detail = "Send `Authorization: Bearer TOKEN`; `syncline token --role owner` prints one.";
    throw new SyncError("unauthorized", { reason: "missing" }, { detail });
  }
  const token = header.slice(7).trim();
  const verified = service.verifier.peek(token) ?? (await service.verifier.verify(token));
  const capability = widen(verified, service.catalog);
  const retryAfterSeconds = service.rateLimiter.take(capability.tokenId);
  if (retryAfterSeconds > 0) throw new SyncError("rate_limited", { retryAfterSeconds });
  c.set("capability", capability);
  return capability;
}

/** The library of the path, for whoever may do this there. @throws forbidden, not_found */
export async function openFor(
  c: AppContext,
  service: Service,
  need: { role: Role; type?: string },
): Promise<Library> {
  const id = (c.req.param("library") ?? "").toLowerCase();
  requireGrant(c.get("capability"), { library: id, ...need });
  const held = c.get("held") ?? (await service.catalog.hold(id));
  c.set("held", held);
  const { library } = held;
  // Another node may have merged it since the token was read.
  if (library.state.id !== id) c.set("capability", widen(c.get("capability"), service.catalog));
  await library.leadership.refresh();
  const wanted = c.req.query("min_sequence");
  if (wanted !== undefined) await library.reached(readInteger(wanted, "min_sequence"));
  return library;
}

/**
 * True when the library has no such position. The database decides: it holds a commit before the
 * leader has its answer, and the answer may be lost.
 */
export async function isBeyondHead({ state, database }: Library, cursor: number): Promise<boolean> {
  if (cursor <= state.head) return false;
  const [rows = []] = await database.read([{ sql: "SELECT head FROM library", args: [] }]);
  return cursor > Number(rows[0]?.[0] ?? 0);
}

/** The types the caller may see, narrowed by `?types=`; null for all. */
export function visibleTypes(
  c: AppContext,
  service: Service,
  libraryId: string,
): ReadonlySet<string> | null {
  const allowed = allowedTypes(c.get("capability"), libraryId);
  const asked = c.req.query("types");
  if (asked === undefined || asked === "") return allowed;
  const types = asked.split(",").map((type) => service.registry.resource(type.trim()).type);
  return new Set(allowed === null ? types : types.filter((type) => allowed.has(type)));
}

/** A registered device acts as itself, whatever it may do else (DOM-04). @throws forbidden */
export async function assertActsAs(
  c: AppContext,
  library: Library,
  deviceId: string,
): Promise<void> {
  const { subject } = c.get("capability");
  if (subject === deviceId || !(await library.roll.has(subject))) return;
  const detail = `The token is that of the device ${subject}, which cannot act as ${deviceId}.`;
  throw new SyncError("forbidden", { reason: "other_device" }, { detail });
}

/** Who writes: the device that is named, else the token's subject. @throws forbidden */
export async function authorOf(c: AppContext, library: Library): Promise<Author> {
  const { subject } = c.get("capability");
  const named = c.req.header("x-device-id") || undefined;
  if (named !== undefined && named.length > DEVICE_CHARACTERS) {
    const message = `At most ${DEVICE_CHARACTERS} characters name a device.`;
    throw new SyncError("invalid_body", { issues: [{ path: "X-Device-Id", message }] });
  }
  if (named !== undefined) await assertActsAs(c, library, named);
  const isDevice = named !== undefined || (await library.roll.has(subject));
  return { deviceId: named ?? subject, isDevice, span: c.get("span") };
}

/** The caller's mutation id, else the one that the forwarding node gave the request. */
export function mutationOf(c: AppContext, named: string | undefined): string | null {
  const given = named ?? c.req.header(MUTATION_HEADER);
  return isId(given) ? given.toLowerCase() : null;
}

/** A whole number from a query string. @throws invalid_body */
export function readInteger(text: string, name: string, least = 0): number {
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  const message = `A whole number from ${least} is needed.`;
  throw new SyncError(
    "invalid_body",
    { issues: [{ path: name, message }] },
    { detail: `${name}: ${message}` },
  );
}

/** The id behind which a page of a list begins; "" for the first page. @throws invalid_body */
export function readAfter(c: AppContext): string {
  const after = c.req.query("after") ?? c.req.query("cursor") ?? "";
  if (after === "" || isId(after)) return after.toLowerCase();
  const message = "Send the `next_cursor` of the page before, or nothing for the first page.";
  throw new SyncError("invalid_body", { issues: [{ path: "after", message }] });
}

/** What to do with a cursor that leads nowhere here. */
export function historyChanged({ state: { historyId, head } }: Pick<Library, "state">): SyncError {
  const detail = `The cursor is of another history than ${historyId}, which ends at ${head}; take a snapshot and go on from its sequence.`;
  return new SyncError("history_changed", { historyId, head }, { detail });
}

/** Refuses what a copy sends that follows another history, as before a restore. @throws history_changed */
export function assertHistory(c: AppContext, library: Library): void {
  const meant = c.req.header(HISTORY_HEADER);
  if (meant !== undefined && meant !== library.state.historyId) throw historyChanged(library);
}

/** True when the caller names another history than the library's. */
export function isOtherHistory(c: AppContext, { state }: Pick<Library, "state">): boolean {
  const named = c.req.query("history_id");
  return named !== undefined && named.toLowerCase() !== state.historyId;
}

/** What was read with one more than the limit, which tells whether anything follows. */
export function toPage<Row extends { readonly id?: unknown }>(rows: readonly Row[], limit: number) {
  const page = rows.slice(0, limit);
  return { page, nextCursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
}

export function readLimit(c: AppContext, service: Service): number {
  const asked = c.req.query("limit");
  if (asked === undefined) return service.limits.pageDefault;
  return Math.min(readInteger(asked, "limit", 1), service.limits.pageMax);
}
