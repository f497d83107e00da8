import { hash48 } from "../base/hash.ts";
import { createId } from "../base/id.ts";
import { SyncError, isSyncError, toProblem, withIndex } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { toWireResource } from "../resource/compile.ts";
import type { CompiledResource } from "../resource/compile.ts";
import type { ActionTx, Reader } from "../resource/define.ts";
import type { Registry } from "../resource/registry.ts";
import type { Database } from "../store/database.ts";
import type { Author, BatchOperation, Change, ChangeRequest, Receipt } from "./change.ts";
import type { Committer } from "./committer.ts";
import { closeConflict, findConflict, toResolvingRequest } from "./conflicts.ts";
import type { Resolution } from "./conflicts.ts";
import { loadSlots } from "./load.ts";
import { rememberRefusal } from "./mutation.ts";
import { applyChange, slotKey } from "./plan.ts";
import type { Slot } from "./plan.ts";
import { runRaw } from "./raw.ts";
import type { RawOptions, RawTx } from "./raw.ts";
import { applyRemote } from "./remote.ts";
import type { RemotePage } from "./remote.ts";
import { applySnapshotPage } from "./remote-snapshot.ts";
import type { SnapshotPage } from "./remote-snapshot.ts";
import { validateInput, validateRecord } from "./validate.ts";

export interface CommitContext {
  readonly author: Author;
  readonly mutationId?: string | null;
}

export interface ResilientReceipt extends Receipt {
  readonly failed: readonly { readonly index: number; readonly problem: Problem }[];
}

/** The only writer of resources (TM-01). */
export interface TransactionManager {
  /** One change, one entry. @throws every code of a change */
  commit(request: ChangeRequest, context: CommitContext): Promise<Receipt>;
  /** 1 to 1,000 changes, all or nothing; the error carries the `index` of the bad one. */
  commitBatch(
    requests: readonly ChangeRequest[],
    context: CommitContext & { readonly operation?: BatchOperation },
  ): Promise<Receipt>;
  /** Chunks of 100, each its own transaction; what fails is listed, the rest stands (TM-29). */
  commitResilient(
    requests: readonly ChangeRequest[],
    context: CommitContext & { readonly operation?: BatchOperation },
  ): Promise<ResilientReceipt>;
  /** Writes fields that never travel: no entry, no event. Throws for a synced field. */
  commitSilent(type: string, id: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  /** A named server-side transaction. @throws not_found, invalid_record, every code of a change */
  runAction(name: string, input: unknown, context: CommitContext): Promise<Receipt>;
  /** Does what a person decided of a late change, and closes it. @throws not_found */
  resolveConflict(id: string, resolution: Resolution, author: Author): Promise<Receipt>;
  /** Raw SQL inside the manager's transaction; the caller says what changed with `log`. */
  withTx<Result>(author: Author, run: (tx: RawTx) => Promise<Result>): Promise<Result>;
  /** On a follower: writes entries as the leader wrote them. @throws what cannot be applied */
  applyRemote(page: RemotePage): Promise<void>;
  /** On a follower: makes a range of records equal to the leader's. */
  applySnapshot(page: SnapshotPage): Promise<void>;
}

export interface ManagerOptions extends RawOptions {
  readonly database: Database;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly reader: Reader;
  readonly limits: Limits;
  readonly now: () => number;
}

/** Names the resource, checks the record against its schema and its limits. */
export function toChange(request: ChangeRequest, registry: Registry, limits: Limits): Change {
  const resource = registry.resource(request.resource_type);
  const { id: _id, version: _version, ...data } = request.data ?? {};
  const bytes = JSON.stringify(data).length;
  if (bytes > limits.recordBytes) {
    throw new SyncError(
      "body_too_large",
      { limitBytes: limits.recordBytes },
      {
        detail: `The record has ${bytes} bytes; ${limits.recordBytes} are allowed.`,
      },
    );
  }
  const isFull = request.operation === "insert" || request.operation === "upsert";
  return {
    resource,
    operation: request.operation,
    id: request.id.toLowerCase(),
    fields: isFull ? validateRecord(resource, data) : data,
    expectedVersion: request.expected_version ?? null,
    base: request.base ?? null,
  };
}

export function createManager(options: ManagerOptions): TransactionManager {
  const { committer, registry, limits, database } = options;

  const toChanges = (requests: readonly ChangeRequest[]): Change[] =>
    requests.map((request, index) => {
      try {
        return toChange(request, registry, limits);
      } catch (error) {
        throw isSyncError(error) ? withIndex(error, index) : error;
      }
    });
  const submissionOf = (
    changes: readonly Change[],
    source: unknown,
    context: CommitContext & { operation?: BatchOperation | null },
  ) => {
    const text = JSON.stringify(source);
    return {
      changes,
      author: context.author,
      mutationId: context.mutationId ?? null,
      fingerprint: `${hash48(text).toString(16)}-${text.length}`,
      operation: context.operation ?? null,
      keepsRefusal: true,
      bytes: text.length + 256,
    };
  };

  const commitResilient: TransactionManager["commitResilient"] = async (requests, context) => {
    const failed: { index: number; problem: Problem }[] = [];
    const resources: Receipt["resources"][number][] = [];
    let last: Receipt | null = null;
    let firstSequence: number | null = null;
    for (let start = 0; start < requests.length; start += limits.resilientChunk) {
      let pending = requests
        .slice(start, start + limits.resilientChunk)
        .map((request, offset) => ({ request, index: start + offset }));
      while (pending.length > 0) {
        try {
          const changes = toChanges(pending.map(({ request }) => request));
          const mutationId =
            typeof context.mutationId === "string" && start === 0 ? context.mutationId : null;
          last = await committer.submit(
            // What a chunk is refused is taken out of it, and the rest is asked for again.
            {
              ...submissionOf(changes, pending, { operation: "Update", ...context, mutationId }),
              keepsRefusal: false,
            },
          );
          firstSequence ??= last.firstSequence;
          resources.push(...last.resources);
          break;
        } catch (error) {
          const at = isSyncError(error) && "index" in error.facts ? error.facts.index : undefined;
          const culprit = at === undefined ? undefined : pending[at];
          if (!isSyncError(error) || (culprit === undefined && pending.length > 1)) throw error;
          const { index = start } = culprit ?? pending[0] ?? {};
          failed.push({ index, problem: toProblem(withIndex(error, index)) });
          pending = pending.filter((one) => one.index !== index);
        }
      }
    }
    return {
      ...(last ?? { epoch: 0, transactionId: createId(), replayed: false, lastSequence: null }),
      firstSequence,
      resources,
      failed,
    };
  };

  return {
    commit: async (request, context) => {
      const change = toChange(request, registry, limits);
      return committer.submit(submissionOf([change], request, context));
    },
    commitBatch: async (requests, context) =>
      committer.submit(
        submissionOf(toChanges(requests), requests, { operation: "Update", ...context }),
      ),
    commitResilient,
    commitSilent: (type, id, fields) =>
      committer.exclusive(async () => {
        const resource = registry.find(type);
        if (resource === undefined)
          throw new SyncError("unknown_resource_type", { resourceType: type });
        await writeSilently(database, { resource, id, fields });
      }),
    runAction: (name, input, context) => {
      const action = registry.actions.get(name);
      if (action === undefined) {
        throw new SyncError(
          "not_found",
          { what: name },
          { detail: `There is no action "${name}".` },
        );
      }
      const valid: unknown = validateInput(action.input, input);
      const submission = submissionOf([], { name, input }, { ...context, operation: "Update" });
      return committer.exclusive(async () => {
        const { mutationId } = submission;
        const known = await loadSlots(database, [], mutationId === null ? [] : [mutationId]);
        // What has its answer does not run again: it would find its own work done (I5).
        if (known.mutations.size > 0) return committer.commitNow(submission);
        const staged = createStage(options, context.author);
        const work = action.run(staged.tx, valid);
        const output = await withDeadline(work, limits.transactionMs).catch(
          async (error: unknown) => {
            const isRefusal = isSyncError(error);
            const kept = isRefusal ? rememberRefusal(submission, error, options.now()) : [];
            if (kept.length > 0) await database.write(kept);
            throw error;
          },
        );
        const { changes } = staged;
        return committer.commitNow({ ...submission, changes, output: output ?? null });
      });
    },
    resolveConflict: (id, resolution, author) =>
      committer.exclusive(async () => {
        const conflict = await findConflict(database, id);
        const request = toResolvingRequest(conflict, resolution);
        const changes = request === null ? [] : [toChange(request, registry, limits)];
        return committer.commitNow({
          ...submissionOf(changes, resolution, { author }),
          also: [closeConflict(id, resolution.choice, options.now())],
        });
      }),
    withTx: (author, run) => committer.exclusive(() => runRaw(options, author, run)),
    applyRemote: (page) => applyRemote(options, page),
    applySnapshot: (page) => applySnapshotPage(database, page, options.now()),
  };
}

async function withDeadline<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The transaction took longer than ${ms} ms.`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Collects the changes of an action; its reads see them. */
function createStage(options: ManagerOptions, author: Author) {
  const { database, registry, limits, reader } = options;
  const changes: Change[] = [];
  const slots = new Map<string, Slot>();
  const slotOf = async (resource: CompiledResource, id: string): Promise<Slot> => {
    const key = slotKey(resource.type, id);
    const known = slots.get(key);
    if (known !== undefined) return known;
    const loaded = await loadSlots(database, [{ resource, id }]);
    const slot = loaded.slots.get(key) ?? { resource, id, row: null, tombstone: 0 };
    slots.set(key, slot);
    return slot;
  };
  const stage = async (request: ChangeRequest): Promise<void> => {
    const change = toChange(request, registry, limits);
    const slot = await slotOf(change.resource, change.id);
    const effect = applyChange(change, () => slot, { author, now: options.now() });
    if (effect === null) return;
    slots.set(slotKey(change.resource.type, change.id), effect.slot);
    changes.push(change);
  };
  const tx: ActionTx = {
    reader,
    get: async (type, id) => {
      const { resource, row } = await slotOf(registry.resource(type), id);
      return row === null ? null : toWireResource(resource, row);
    },
    insert: (type, { id, ...data }) =>
      stage({ resource_type: type, operation: "insert", id, data }),
    update: (type, id, data) => stage({ resource_type: type, operation: "update", id, data }),
    upsert: (type, { id, ...data }) =>
      stage({ resource_type: type, operation: "upsert", id, data }),
    delete: (type, id) => stage({ resource_type: type, operation: "delete", id }),
  };
  return { tx, changes };
}

async function writeSilently(
  database: Database,
  target: { resource: CompiledResource; id: string; fields: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { resource, id, fields } = target;
  const names = Object.keys(fields);
  const synced = new Set(resource.synced.map((column) => column.name));
  for (const name of names) {
    const isLocal = resource.domain === "state" || !synced.has(name);
    if (!isLocal || !resource.columns.some((column) => column.name === name)) {
      throw new Error(`commitSilent: "${resource.type}.${name}" is not a local field; use commit.`);
    }
  }
  const sets = names.map((name) => `"${name}" = ?`).join(", ");
  await database.write([
    {
      sql: `UPDATE "${resource.tableName}" SET ${sets} WHERE "id" = ?`,
      args: [...names.map((name) => fields[name] as string | number | null), id],
    },
  ]);
}
