import type { StandardSchemaV1 } from "@standard-schema/spec";
import { renameKeys, toCamelCase, toSnakeCase } from "../base/case.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Issue } from "../protocol/errors.ts";
import { isStorable, UNSTORABLE } from "../protocol/text.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";

type Fields = Readonly<Record<string, unknown>>;

function toIssue(issue: StandardSchemaV1.Issue): Issue {
  const parts = (issue.path ?? []).map((part) =>
    String(typeof part === "object" ? part.key : part),
  );
  const [head, ...rest] = parts;
  if (head === undefined) return { path: "", message: issue.message };
  const name = toSnakeCase(head);
  // A validator knows the field by its name in TypeScript, its reader by that of the wire.
  const message = issue.message.replaceAll(`"${head}"`, `"${name}"`);
  return { path: [name, ...rest].join("."), message };
}

/** Runs a Standard Schema over wire names and answers TypeScript names. @throws invalid_record */
export function validateInput<Schema extends StandardSchemaV1>(
  schema: Schema,
  input: unknown,
): StandardSchemaV1.InferOutput<Schema> {
  const isRecord = typeof input === "object" && input !== null && !Array.isArray(input);
  const named = isRecord ? renameKeys(input as Fields, toCamelCase) : input;
  const result = schema["~standard"].validate(named);
  if (result instanceof Promise) {
    throw new Error("Bug: an input schema must validate synchronously.");
  }
  if (result.issues !== undefined) {
    throw new SyncError("invalid_record", { issues: result.issues.map(toIssue) });
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
