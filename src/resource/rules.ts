/**
 * The pure part of plugins: what a client can know about lists and actions without asking. Modules
 * that hold rules import only this one, so that a browser loads no database code.
 *
 * @module
 */

/** A record as clients hold it, with the fields that a rule names. */
// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in their record.
export type FieldsOf = any;

/** A record as an optimistic twin sees it: camelCase fields. */
export interface DraftRecord {
  readonly id: string;
  readonly version: number;
  readonly [field: string]: unknown;
}

/** How the client keeps the answers of one query right without asking again. */
// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in both.
export interface QueryRule<Fields = any, Input = any> {
  /** The type of the records in the answer; null when it holds plain values. */
  readonly returns: string | null;
  /** Whether a record belongs into the answer. Without it every change of the type asks again. */
  readonly matches?: (record: Fields, input: Input) => boolean;
  /** The order of the answer; ties are broken by id. Without it new records are asked for. */
  readonly compare?: (left: Fields, right: Fields, input: Input) => number;
  /** The page size: a full page that loses a record is asked for again, a short one is complete. */
  readonly limit?: (input: Input) => number | null;
  /**
   * Fields on which a record and the input must agree before `matches` is even tried (a missing
   * one counts as null). A change then costs the same with ten live lists and with ten thousand.
   */
  readonly partition?: readonly string[];
  /** Other types whose changes make the answer stale, such as a link table. */
  readonly dependsOn?: readonly string[];
}

/** The records as the mutations before this one leave them. */
export interface Draft {
  get(type: string, id: string): DraftRecord | null;
  insert(type: string, record: { readonly id: string } & Readonly<Record<string, unknown>>): void;
  /** Changes these fields; a record that is unknown or deleted stays so. */
  update(type: string, id: string, fields: Readonly<Record<string, unknown>>): void;
  delete(type: string, id: string): void;
  all(type: string): Iterable<DraftRecord>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in their input.
export interface ActionRule<Input = any> {
  /** Foretells what the action will do. Runs again over every newer base: it must be deterministic. */
  readonly optimistic?: (draft: Draft, input: Input) => void;
}

/** What the client knows of the queries and actions of the plugins, by "plugin.name". */
export interface ClientRules {
  readonly queries: Readonly<Record<string, QueryRule>>;
  readonly actions: Readonly<Record<string, ActionRule>>;
  /** By type, what the fields hold that an insert leaves out, so that a new record is whole at once. */
  readonly absent?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Orders text as SQLite does: by code point. `<` would put U+1F600 before U+FFFD. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** Surrogates come after all other code units, because they stand for higher code points. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Lower case for A to Z only, as SQLite's `lower`. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** A position in a list ordered by text: the last record seen, by its id, or by its text and id. */
export interface TextCursor {
  readonly after?: string | undefined;
  /** Without it, all records of that very text are passed over. */
  readonly afterId?: string | undefined;
}

const isId = /^[\da-f-]{36}$/i;

/**
 * Whether a record comes after a cursor in a rising (or falling) list ordered by text, then id. @throws
 * where only an id tells the place: the service knows it
 */
export function isAfter(
  record: { readonly id: string; readonly text: string },
  cursor: TextCursor,
  isRising = true,
): boolean {
  if (cursor.after === undefined) return true;
  if (cursor.afterId === undefined && isId.test(cursor.after))
    throw new Error("Only the service knows where that record stands.");
  const order = compareText(record.text, cursor.after);
  if (order === 0) return cursor.afterId !== undefined && record.id > cursor.afterId;
  return isRising ? order > 0 : order < 0;
}
