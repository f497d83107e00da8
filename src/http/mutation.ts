import { requireGrant } from "../auth/capability.ts";
import type { Capability } from "../auth/capability.ts";
import type { BatchOperation, ChangeRequest, Receipt } from "../commit/change.ts";
import type { ResilientReceipt } from "../commit/resilient.ts";
import type { CommitContext } from "../commit/submission.ts";
import type { Library } from "../library/library.ts";
import type { Service } from "../service.ts";

/** Who asks for a mutation, and where; whichever route it came by. */
export interface Asking {
  readonly service: Pick<Service, "registry" | "telemetry">;
  readonly library: Library;
  readonly capability: Capability;
  readonly context: CommitContext;
}

export function batchAnswer(receipt: Receipt | ResilientReceipt) {
  const { failed } = { failed: undefined, ...receipt };
  // What was refused is not as it was asked for.
  const isUnchanged = receipt.lastSequence === null && !failed?.length;
  return {
    first_sequence: receipt.firstSequence,
    last_sequence: receipt.lastSequence,
    epoch: receipt.epoch,
    transaction_id: receipt.transactionId,
    replayed: receipt.replayed,
    resources: receipt.resources.filter((resource) => resource !== null),
    ...(isUnchanged ? { unchanged: true } : {}),
    ...(failed === undefined ? {} : { failed }),
    ...(receipt.output === undefined ? {} : { output: receipt.output }),
  };
}

/** Who wants to write which library. */
export interface Writer {
  readonly registry: Service["registry"];
  readonly libraryId: string;
  readonly capability: Capability;
}

/** @throws forbidden for a type that the token may not write */
export function requireTypes(
  writer: Writer,
  changes: readonly Pick<ChangeRequest, "resource_type">[],
): void {
  for (const type of new Set(changes.map((change) => change.resource_type))) {
    // An unknown one is refused by its name, later.
    if (writer.registry.find(type) === undefined) continue;
    requireGrant(writer.capability, { library: writer.libraryId, role: "writer", type });
  }
}

export const writerOf = ({ service, library, capability }: Asking): Writer => ({
  registry: service.registry,
  libraryId: library.state.id,
  capability,
});

/** `named`: the mutation id that the caller gave. */
export async function commitOne(asking: Asking, change: ChangeRequest, named: string | undefined) {
  const { service, library, capability, context } = asking;
  const { type } = service.registry.resource(change.resource_type);
  requireGrant(capability, { library: library.state.id, role: "writer", type });
  const receipt = await library.manager.commit(change, context);
  service.telemetry.count("commits", 1, { kind: "commit" });
  if (receipt.lastSequence === null) service.telemetry.count("unchanged_commits");
  return {
    ...(receipt.lastSequence === null ? { unchanged: true } : { sequence: receipt.lastSequence }),
    epoch: receipt.epoch,
    transaction_id: receipt.transactionId,
    mutation_id: named ?? null,
    replayed: receipt.replayed,
    resource: receipt.resources[0] ?? null,
  };
}

export async function commitMany(
  asking: Asking,
  changes: readonly ChangeRequest[],
  operation: BatchOperation | undefined,
) {
  const { service, library, context } = asking;
  requireTypes(writerOf(asking), changes);
  const more = operation === undefined ? {} : { operation };
  const receipt = await library.manager.commitBatch(changes, { ...context, ...more });
  service.telemetry.count("commits", 1, { kind: "batch" });
  return batchAnswer(receipt);
}

export async function act(asking: Asking, name: string, input: unknown) {
  const { service, library, capability, context } = asking;
  const receipt = await library.manager.runAction(name, input, {
    ...context,
    assertMayWrite: (type) =>
      requireGrant(capability, { library: library.state.id, role: "writer", type }),
  });
  service.telemetry.count("commits", 1, { kind: "action" });
  return batchAnswer(receipt);
}
