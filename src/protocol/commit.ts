import * as v from "valibot";
import { batchChanges, lineMutations } from "./limits.ts";
import { nameOf, textOf, uuid } from "./text.ts";

const record = v.record(v.string(), v.unknown());
/** A map of fields; the validator by itself takes a list for an empty one. */
const fields: typeof record = {
  ...record,
  "~run": (given, config) =>
    record["~run"](Array.isArray(given.value) ? { value: "a list" } : given, config),
};

// A member that nobody knows is refused by name: passed over, a misspelled `expected_version` would check
// nothing, and a `mutation_id` in the wrong place would be once only in name.
const changeEntries = {
  operation: v.picklist(["insert", "update", "upsert", "delete"]),
  id: uuid,
  data: v.optional(fields),
  expected_version: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  base: v.optional(fields),
};
const typed = { resource_type: v.string(), ...changeEntries };

/** Body of `commit`. */
export const commitSchema = v.strictObject({ ...typed, mutation_id: v.optional(uuid) });
export const changeSchema = v.strictObject(typed);
/** Body of `batch`. */
export const batchSchema = v.strictObject({
  changes: v.pipe(v.array(changeSchema), v.minLength(1), v.maxLength(batchChanges)),
  operation: v.optional(v.picklist(["Index", "Update", "WatcherBatch"])),
  mutation_id: v.optional(uuid),
  atomic: v.optional(v.boolean()),
});
/** The same with `atomic: false`: each change is read by itself, so that one cannot hide the others. */
export const resilientBatchSchema = v.strictObject({
  ...batchSchema.entries,
  changes: v.pipe(v.array(v.unknown()), v.minLength(1), v.maxLength(batchChanges)),
});
export const actionSchema = v.strictObject({
  input: v.optional(v.unknown()),
  mutation_id: v.optional(uuid),
});
const one = { mutation_id: uuid };
/** What a mutation of a line asks for, as the route of its kind takes it. */
export const lineBatchSchema = v.strictObject({
  changes: batchSchema.entries.changes,
  operation: batchSchema.entries.operation,
  atomic: v.optional(v.literal(true)),
});
/** Body of `mutations`. */
export const mutationsSchema = v.strictObject({
  mutations: v.array(
    v.union([
      v.strictObject({ ...one, commit: changeSchema }),
      v.strictObject({ ...one, batch: lineBatchSchema }),
      v.strictObject({ ...one, action: v.string(), input: v.optional(v.unknown()) }),
    ]),
  ),
});
/** The same as a line is read first: what is wrong with one mutation is that one's answer. */
export const lineSchema = v.strictObject({
  mutations: v.pipe(
    v.array(
      v.pipe(
        v.strictObject({
          ...one,
          commit: v.optional(v.unknown()),
          batch: v.optional(v.unknown()),
          action: v.optional(v.string()),
          input: v.optional(v.unknown()),
        }),
        v.check(
          (given) => ["commit", "batch", "action"].filter((kind) => kind in given).length === 1,
          "One of commit, batch and action is needed.",
        ),
      ),
    ),
    v.minLength(1),
    v.maxLength(lineMutations),
  ),
});
export const resolveSchema = v.strictObject({
  choice: v.picklist(["local", "remote", "merged", "discard"]),
  data: v.optional(fields),
});
export const querySchema = v.strictObject({ input: v.optional(v.unknown()) });
export const librarySchema = v.strictObject({
  name: nameOf(200),
  id: v.optional(uuid),
  description: v.nullish(textOf(2_000)),
});
export const revocationSchema = v.strictObject({
  kind: v.picklist(["token", "subject"]),
  value: v.pipe(v.string(), v.nonEmpty(), v.maxLength(4_096)),
});
export const bulkQuerySchema = v.object({
  resource_type: v.string(),
  mode: v.optional(v.picklist(["insert", "upsert", "delete"]), "insert"),
  token: v.optional(uuid),
  hints: v.optional(v.pipe(v.string(), v.maxLength(512), v.parseJson(), fields)),
  on_error: v.optional(v.picklist(["stop", "skip"]), "stop"),
});
