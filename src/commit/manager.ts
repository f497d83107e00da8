import { SyncError } from "../protocol/errors.ts";
import { runAction } from "./action.ts";
import type { ActionContext, ActionOptions } from "./action.ts";
import type { Author, ChangeRequest, Receipt } from "./change.ts";
import { closeConflict, findConflict, toResolvingRequest } from "./conflicts.ts";
import type { Resolution } from "./conflicts.ts";
import { runRaw } from "./raw.ts";
import type { RawOptions, RawTx } from "./raw.ts";
import { applyRemote } from "./remote.ts";
import type { RemotePage } from "./remote.ts";
import { applySnapshotPage } from "./remote-snapshot.ts";
import type { SnapshotPage } from "./remote-snapshot.ts";
import { commitResilient } from "./resilient.ts";
import type { ResilientReceipt } from "./resilient.ts";
import { writeSilently } from "./silent.ts";
import { toChange, toChanges, toSubmission } from "./submission.ts";
import type { BatchContext, CommitContext } from "./submission.ts";

/** The only writer of resources (TM-01). */
export interface TransactionManager {
  /** One change, one entry. @throws every code of a change */
  commit(request: ChangeRequest, context: CommitContext): Promise<Receipt>;
  /** 1 to 1,000 changes, all or nothing; the error carries the `index` of the bad one. */
  commitBatch(requests: readonly ChangeRequest[], context: BatchContext): Promise<Receipt>;
  /**
   * Chunks of 100, each its own transaction; what fails is listed, the rest stands (TM-29). @throws
   * what may pass, when nothing stands
   */
  commitResilient(
    requests: readonly ChangeRequest[],
    context: BatchContext,
  ): Promise<ResilientReceipt>;
  /** Writes fields that never travel: no entry, no event. Throws for a synced field. */
  commitSilent(type: string, id: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  /** A named server-side transaction. @throws not_found, invalid_record, every code of a change */
  runAction(name: string, input: unknown, context: ActionContext): Promise<Receipt>;
  /** Does what a person decided of a late change, and closes it. @throws not_found */
  resolveConflict(id: string, resolution: Resolution, author: Author): Promise<Receipt>;
  /** Raw SQL inside the manager's transaction; the caller says what changed with `log`. */
  withTx<Result>(author: Author, run: (tx: RawTx) => Promise<Result>): Promise<Result>;
  /** On a follower: writes entries as the leader wrote them. @throws what cannot be applied */
  applyRemote(page: RemotePage): Promise<void>;
  /** On a follower: makes a range of records equal to the leader's. */
  applySnapshot(page: SnapshotPage): Promise<void>;
}

export interface ManagerOptions extends RawOptions, ActionOptions {}

export function createManager(options: ManagerOptions): TransactionManager {
  const { committer, registry, limits, database } = options;
  return {
    commit: async (request, context) => {
      const change = toChange(request, registry, limits);
      return committer.submit(toSubmission([change], request, context));
    },
    commitBatch: async (requests, context) => {
      const changes = toChanges(requests, registry, limits);
      return committer.submit(toSubmission(changes, requests, { operation: "Update", ...context }));
    },
    commitResilient: (requests, context) => commitResilient(options, requests, context),
    commitSilent: (type, id, fields) =>
      committer.exclusive(async () => {
        const resource = registry.find(type);
        if (resource === undefined)
          throw new SyncError("unknown_resource_type", { resourceType: type });
        await writeSilently(database, { resource, id, fields });
      }),
    runAction: (name, input, context) => runAction(options, { name, input }, context),
    resolveConflict: (id, resolution, author) =>
      committer.exclusive(async () => {
        const conflict = await findConflict(database, id);
        const request = toResolvingRequest(conflict, resolution);
        const changes = request === null ? [] : [toChange(request, registry, limits)];
        return committer.commitNow({
          ...toSubmission(changes, resolution, { author }),
          also: [closeConflict(id, resolution.choice, options.now())],
        });
      }),
    withTx: (author, run) => committer.exclusive(() => runRaw(options, author, run)),
    applyRemote: (page) => applyRemote(options, page),
    applySnapshot: async (page) => {
      const timing = options.telemetry.time("follower.snapshot");
      await applySnapshotPage(database, page, options.now());
      timing?.end({
        library_id: options.state.id,
        resource_type: page.resource.type,
        records: page.rows.length,
        tombstones: page.tombstones.length,
      });
    },
  };
}
