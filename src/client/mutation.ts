import type { ClientRecord, TypedRecord } from "./record.ts";
import type { ClientRules, Draft, Mutation } from "./rules.ts";
import type { ClientProblem, JsonReply, Transport } from "./transport.ts";
import { isFields, toRecord, toWireNames } from "./wire.ts";

type Fields = Readonly<Record<string, unknown>>;

/** One change as the application asks for it. */
export interface ClientChange {
  readonly operation: "insert" | "update" | "upsert" | "delete";
  readonly type: string;
  readonly id: string;
  readonly data?: Fields;
  readonly expectedVersion?: number;
}

export type MutationRequest =
  | { readonly kind: "commit"; readonly change: ClientChange }
  | { readonly kind: "batch"; readonly changes: readonly ClientChange[] }
  | { readonly kind: "action"; readonly name: string; readonly input: Fields };

/** A mutation as it waits, on disk and in every tab. `problem`: refused, and kept until decided on. */
export interface QueuedMutation {
  readonly id: string;
  readonly request: MutationRequest;
  readonly problem?: ClientProblem;
}

/** What became of a mutation. `sequence` is null when it changed nothing. */
export interface Receipt {
  readonly sequence: number | null;
  readonly resources: readonly ClientRecord[];
  readonly output: unknown;
}

/** The end of a mutation. */
export type Settlement =
  | {
      readonly kind: "committed";
      readonly receipt: Receipt;
      readonly records: readonly TypedRecord[];
    }
  | { readonly kind: "rejected"; readonly problem: ClientProblem };
/** "later": not yet, for want of the network, of a token or of a service that is not busy. */
export type Outcome = Settlement | { readonly kind: "later"; readonly problem: ClientProblem };

function applyChange(draft: Draft, change: ClientChange): void {
  const { operation, type, id, data = {} } = change;
  if (operation === "delete") draft.delete(type, id);
  else if (operation === "insert") draft.insert(type, { ...data, id });
  else if (operation === "upsert" && draft.get(type, id) === null)
    draft.insert(type, { ...data, id });
  else draft.update(type, id, data);
}

/** What the cache shows until the answer is known. */
export function toOverlay({ id, request }: QueuedMutation, rules: ClientRules): Mutation {
  if (request.kind === "action") {
    const { optimistic } = rules.actions[request.name] ?? {};
    return { id, apply: (draft) => optimistic?.(draft, request.input) };
  }
  const changes = request.kind === "commit" ? [request.change] : request.changes;
  return {
    id,
    apply: (draft) => {
      for (const change of changes) applyChange(draft, change);
    },
  };
}

function toWireChange({ operation, type, id, data, expectedVersion }: ClientChange) {
  return {
    resource_type: type,
    operation,
    id,
    ...(data === undefined ? {} : { data: toWireNames(data) }),
    ...(expectedVersion === undefined ? {} : { expected_version: expectedVersion }),
  };
}

function post(transport: Transport, { id, request }: QueuedMutation): Promise<JsonReply> {
  const mutation_id = id;
  if (request.kind === "commit")
    return transport.json("commit", { body: { ...toWireChange(request.change), mutation_id } });
  if (request.kind === "batch")
    return transport.json("batch", {
      body: { changes: request.changes.map(toWireChange), mutation_id },
    });
  return transport.json(`actions/${request.name}`, {
    body: { input: toWireNames(request.input), mutation_id },
  });
}

function toSettlement(body: Fields, request: MutationRequest): Settlement {
  const given = request.kind === "commit" ? [body["resource"]] : body["resources"];
  const sequence = request.kind === "commit" ? body["sequence"] : body["last_sequence"];
  const resources = (Array.isArray(given) ? given : []).flatMap((one) => toRecord(one) ?? []);
  const types = new Map(
    (request.kind === "batch"
      ? request.changes
      : request.kind === "commit"
        ? [request.change]
        : []
    ).map(({ id, type }) => [id.toLowerCase(), type]),
  );
  return {
    kind: "committed",
    receipt: {
      sequence: typeof sequence === "number" ? sequence : null,
      resources,
      output: body["output"] ?? null,
    },
    // The answer of an action does not say of which types its records are; the stream does.
    records: resources.flatMap((record) => {
      const type = types.get(record.id);
      return type === undefined ? [] : [{ type, record }];
    }),
  };
}

/** Sends a mutation. The same id takes effect once, however often it is sent (I5). Never throws. */
export async function sendMutation(
  transport: Transport,
  mutation: QueuedMutation,
): Promise<Outcome> {
  const reply = await post(transport, mutation);
  if (reply.isOk) return toSettlement(reply.body, mutation.request);
  const { problem } = reply;
  const isLater = problem.retry !== "never" || problem.status === 401 || problem.status === 426;
  return { kind: isLater ? "later" : "rejected", problem };
}

export function isQueuedMutation(value: unknown): value is QueuedMutation {
  return isFields(value) && typeof value["id"] === "string" && isFields(value["request"]);
}
