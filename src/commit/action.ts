import { SyncError, isSyncError } from "../protocol/errors.ts";
import type { WireResource } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { toWireResource } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { ActionTx, AnyAction, Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import type { Change, ChangeRequest, Receipt, Submission } from "./change.ts";
import type { Committer } from "./committer.ts";
import { loadSlots } from "./load.ts";
import { rememberRefusal } from "./mutation.ts";
import { absent, applyChange, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import { toChange, toSubmission } from "./submission.ts";
import type { CommitContext } from "./submission.ts";
import { validateInput } from "./validate.ts";

export interface ActionOptions {
  readonly database: Database;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly reader: Reader;
  readonly limits: Limits;
  readonly now: () => number;
}

async function withDeadline<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The transaction took longer than ${ms} ms.`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Who runs an action, and what they may write; it throws for a type that they may not. */
export interface ActionContext extends CommitContext {
  readonly assertMayWrite?: (type: string) => void;
}

/** Collects the changes of an action; its reads see them. */
function createStage(options: ActionOptions, { author, assertMayWrite }: ActionContext) {
  const { database, registry, limits, reader } = options;
  const changes: Change[] = [];
  const slots = new Map<string, Slot>();
  const slotsOf = async (resource: CompiledResource, ids: readonly string[]): Promise<Slot[]> => {
    const keyOf = (id: string): string => slotKey(resource.type, id);
    const wanted = ids.filter((id) => !slots.has(keyOf(id))).map((id) => ({ resource, id }));
    if (wanted.length > 0) {
      const loaded = await loadSlots(database.readPrimary, wanted);
      for (const [key, slot] of loaded.slots) slots.set(key, slot);
    }
    return ids.map((id) => slots.get(keyOf(id)) ?? absent(resource, id));
  };
  const toRecords = (found: readonly Slot[]): WireResource[] =>
    found.flatMap(({ resource, row }) => (row === null ? [] : [toWireResource(resource, row)]));
  const stage = async (request: ChangeRequest): Promise<void> => {
    const change = toChange(request, registry, limits);
    assertMayWrite?.(change.resource.type);
    const [slot = absent(change.resource, change.id)] = await slotsOf(change.resource, [change.id]);
    const effect = applyChange(change, () => slot, { author, now: options.now() });
    if (effect === null) return;
    slots.set(slotKey(change.resource.type, change.id), effect.slot);
    changes.push(change);
    // Where nothing has to be waited for, timers would not have their turn until the last of them.
    if (changes.length % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve));
  };
  const tx: ActionTx = {
    reader,
    get: async (type, id) => toRecords(await slotsOf(registry.resource(type), [id]))[0] ?? null,
    getMany: async (type, ids) => toRecords(await slotsOf(registry.resource(type), ids)),
    insert: (type, { id, ...data }) =>
      stage({ resource_type: type, operation: "insert", id, data }),
    update: (type, id, data) => stage({ resource_type: type, operation: "update", id, data }),
    upsert: (type, { id, ...data }) =>
      stage({ resource_type: type, operation: "upsert", id, data }),
    delete: (type, id) => stage({ resource_type: type, operation: "delete", id }),
  };
  return { tx, changes };
}

/** The action of that name, and its input as it takes it. @throws not_found, invalid_record */
export function readAction(
  registry: Registry,
  name: string,
  input: unknown,
): { readonly action: AnyAction; readonly valid: unknown } {
  const action = registry.actions.get(name);
  if (action !== undefined) return { action, valid: validateInput(action.input, input ?? {}) };
  const detail = `There is no action "${name}".`;
  throw new SyncError("not_found", { what: name }, { detail });
}

/** Runs an action and commits what it asked for, from inside `exclusive`. */
async function runStaged(
  options: ActionOptions,
  { submission, context }: { readonly submission: Submission; readonly context: ActionContext },
  run: (tx: ActionTx) => Promise<unknown>,
): Promise<Receipt> {
  const { committer, database, limits } = options;
  const { mutationId } = submission;
  const known = await loadSlots(database.readPrimary, [], {
    mutationIds: mutationId === null ? [] : [mutationId],
  });
  // What has its answer does not run again: it would find its own work done (I5).
  if (known.mutations.size > 0) return committer.commitNow(submission);
  const { tx, changes } = createStage(options, context);
  const output = await withDeadline(run(tx), limits.transactionMs).catch(async (error: unknown) => {
    const kept = isSyncError(error) ? rememberRefusal(submission, error, options.now()) : [];
    if (kept.length > 0) await database.write(kept);
    throw error;
  });
  return committer.commitNow({ ...submission, changes, output: output ?? null });
}

/** Runs a named server-side transaction. @throws not_found, invalid_record, every code of a change */
export async function runAction(
  options: ActionOptions,
  { name, input }: { readonly name: string; readonly input: unknown },
  context: ActionContext,
): Promise<Receipt> {
  const { action, valid } = readAction(options.registry, name, input);
  const submission = toSubmission([], { name, input }, { ...context, operation: "Update" });
  return options.committer.exclusive(
    () => runStaged(options, { submission, context }, (tx) => action.run(tx, valid)),
    context.place,
  );
}
