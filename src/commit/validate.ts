import type { StandardSchemaV1 } from "@standard-schema/spec";
import { renameKeys, toCamelCase, toSnakeCase } from "../base/case.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Issue } from "../protocol/errors.ts";
import { issueCharacters, issuesTold } from "../protocol/limits.ts";
import { isStorable, UNSTORABLE } from "../protocol/text.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What the two libraries of the bundled plugins say of a field too many, beside the standard. */
interface Unknown {
  /** Zod: one issue for all of them, at their parent. */
  readonly keys?: unknown;
  /** Valibot: one issue each. */
  readonly expected?: unknown;
}

const toPath = ([head, ...rest]: readonly string[]): string =>
  head === undefined ? "" : [toSnakeCase(head), ...rest].join(".").slice(0, issueCharacters);

/** The complaints of a validator, in the names of the wire; a field that is not there is one of its own. */
function toIssues(issue: StandardSchemaV1.Issue & Unknown): Issue[] {
  const parts = (issue.path ?? []).map((part) =>
    String(typeof part === "object" ? part.key : part),
  );
  const isField = issue.expected === "never" && parts.length > 0;
  const unknown = isField ? [parts.pop()] : issue.keys;
  if (Array.isArray(unknown)) {
    return unknown.map((key) => ({
      path: toPath([...parts, String(key)]),
      message: "There is no such field.",
    }));
  }
  const [head = ""] = parts;
  // A validator knows the field by its name in TypeScript, its reader by that of the wire.
  const message = issue.message.replaceAll(`"${head}"`, `"${toSnakeCase(head)}"`);
  return [{ path: toPath(parts), message: message.slice(0, issueCharacters) }];
}

/** `coverId` would else be taken for `cover_id`, or for both of them. @throws invalid_record */
function assertWireNames(names: readonly string[]): void {
  const wrong = names.filter((name) => toSnakeCase(name) !== name).slice(0, issuesTold);
  if (wrong.length === 0) return;
  const issues = wrong.map((name) => ({
    path: name.slice(0, issueCharacters),
    message: "There is no such field.",
  }));
  throw new SyncError("invalid_record", { issues });
}

/** Runs a Standard Schema over wire names and answers TypeScript names. @throws invalid_record */
export function validateInput<Schema extends StandardSchemaV1>(
  schema: Schema,
  input: unknown,
): StandardSchemaV1.InferOutput<Schema> {
  const isRecord = typeof input === "object" && input !== null && !Array.isArray(input);
  if (isRecord) assertWireNames(Object.keys(input));
  const named = isRecord ? renameKeys(input as Fields, toCamelCase) : input;
  const result = schema["~standard"].validate(named);
  if (result instanceof Promise) {
    throw new Error("Bug: an input schema must validate synchronously.");
  }
  if (result.issues !== undefined) {
    const issues = result.issues.slice(0, issuesTold).flatMap(toIssues).slice(0, issuesTold);
    throw new SyncError("invalid_record", { issues });
  }
  return result.value as StandardSchemaV1.InferOutput<Schema>;
}

/** Maps, arrays and times: what JSON gives back as it was sent. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return Array.isArray(value) || value instanceof Date;
}

function assertStorable(value: unknown, path: string): void {
  if (typeof value === "string") {
    if (!isStorable(value)) {
      throw new SyncError("invalid_record", { issues: [{ path, message: UNSTORABLE }] });
    }
  } else if (typeof value === "number") {
    const isSafe = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
    if (!isSafe) {
      const message = "Numbers must be finite, and integers within ±(2^53 − 1).";
      throw new SyncError("invalid_record", { issues: [{ path, message }] });
    }
  } else if (typeof value === "object" && value !== null) {
    if (!isPlain(value)) {
      const message = "Only maps, arrays, text, numbers, booleans, null and times can be kept.";
      throw new SyncError("invalid_record", { issues: [{ path, message }] });
    }
    for (const key of Object.keys(value)) {
      assertStorable(key, path);
      assertStorable((value as Fields)[key], path === "" ? key : `${path}.${key}`);
    }
  }
}

/**
 * Validates a full record with the resource's own schema and answers its fields in wire names.
 *
 * @throws invalid_record
 */
export function validateRecord(resource: CompiledResource, record: Fields): Row {
  assertStorable(record, "");
  const value = validateInput(resource.definition.input, record);
  if (typeof value !== "object" || value === null) {
    throw new SyncError("invalid_record", { issues: [{ path: "", message: "Not a record." }] });
  }
  const output = value as Fields;
  const fields: Row = {};
  for (const { key, name } of resource.synced) {
    const given = output[key];
    if (given !== undefined) fields[name] = given;
  }
  return fields;
}

/** Completes a new row with the defaults of its columns. @throws invalid_record for what is missing */
export function completeRow(resource: CompiledResource, row: Row): Row {
  for (const { name, notNull, initial } of resource.columns) {
    if (row[name] !== undefined && row[name] !== null) continue;
    row[name] = initial === undefined ? null : initial();
    if (row[name] === null && notNull) {
      throw new SyncError("invalid_record", { issues: [{ path: name, message: "Required." }] });
    }
  }
  return row;
}
