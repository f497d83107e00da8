import * as v from "valibot";

/** SQLite ends text at U+0000, and lone surrogates have no UTF-8: neither would come back as sent. */
export const isStorable = (text: string): boolean =>
  !text.includes("\u0000") && text.isWellFormed();

export const UNSTORABLE = "Text must not contain U+0000 or half of a surrogate pair.";

/** Text that people read and the database keeps as it is. */
export const textOf = (lengthMax: number) =>
  v.pipe(v.string(), v.maxLength(lengthMax), v.check(isStorable, UNSTORABLE));

/** The same for a name, which nobody may leave empty. */
export const nameOf = (lengthMax: number) =>
  v.pipe(v.string(), v.nonEmpty(), v.maxLength(lengthMax), v.check(isStorable, UNSTORABLE));

/** Ids are the same whatever the case of their letters; rows, log and events have small ones. */
export const uuid = v.pipe(v.string(), v.uuid(), v.toLowerCase());
