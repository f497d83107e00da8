/**
 * The pure part of plugins: what a client can know about lists and actions without asking. Modules
 * that hold rules import only this one, so that a browser loads no database code.
 *
 * @module
 */

/** A record as clients hold it: camelCase fields. A rule names the fields it reads. */
// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in their record.
export type FieldsOf = any;

/** How a list stays fresh when one record changes. */
// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in both.
export interface QueryRule<Fields = any, Input = any> {
  readonly returns: string | null;
  /** Whether a record belongs into the answer. */
  readonly matches?: (record: Fields, input: Input) => boolean;
  /** The order of the answer; equal records are ordered by id. */
  readonly compare?: (left: Fields, right: Fields, input: Input) => number;
  /** The size of a page, so that a full page drops its last and a short one knows it is complete. */
  readonly limit?: (input: Input) => number | null;
  /** Other types whose changes make the answer stale, such as a link table. */
  readonly dependsOn?: readonly string[];
}

/** What an optimistic twin may do: read what the client holds, and change it. */
export interface RuleDraft {
  // oxlint-disable-next-line typescript/no-explicit-any -- Rules read the fields they know.
  get(type: string, id: string): any;
  insert(type: string, record: { readonly id: string; readonly [field: string]: unknown }): void;
  update(type: string, id: string, fields: Readonly<Record<string, unknown>>): void;
  delete(type: string, id: string): void;
  // oxlint-disable-next-line typescript/no-explicit-any -- Rules read the fields they know.
  all(type: string): Iterable<any>;
}

/** What an action will do, as far as a client can know. Replayed over newer data, so deterministic. */
// oxlint-disable-next-line typescript/no-explicit-any -- Rules are contravariant in their input.
export interface ActionRule<Input = any> {
  readonly optimistic?: (draft: RuleDraft, input: Input) => void;
}

/** All rules of a client, by the full names of queries and actions. */
export interface ClientRules {
  readonly queries: Readonly<Record<string, QueryRule>>;
  readonly actions: Readonly<Record<string, ActionRule>>;
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

/** A position in a list ordered by text: the text of the last record seen, and its id. */
export interface TextCursor {
  readonly after?: string | undefined;
  /** Without it, all records of that very text are passed over. */
  readonly afterId?: string | undefined;
}

/** Whether a record comes after a cursor in a rising (or falling) list ordered by text, then id. */
export function isAfter(
  record: { readonly id: string; readonly text: string },
  cursor: TextCursor,
  isRising = true,
): boolean {
  if (cursor.after === undefined) return true;
  const order = compareText(record.text, cursor.after);
  if (order === 0) return cursor.afterId !== undefined && record.id > cursor.afterId;
  return isRising ? order > 0 : order < 0;
}
