import { renameKeys, toCamelCase } from "../base/case.ts";
import type { ClientRecord, TypedRecord } from "./record.ts";
import type { ClientRules, Draft, Mutation } from "./rules.ts";
import { problemIn, problemOf } from "./transport.ts";
import type { ClientProblem, Transport } from "./transport.ts";
import { isFields, toRecords, toWireNames } from "./wire.ts";

type Fields = Readonly<Record<string, unknown>>;

/** One change as the application asks for it. */
export interface ClientChange {
  readonly operation: "insert" | "update" | "upsert" | "delete";
  readonly type: string;
  readonly id: string;
  readonly data?: Fields | undefined;
  readonly expectedVersion?: number;
}

export type MutationRequest =
  | { readonly kind: "commit"; readonly change: ClientChange }
  | { readonly kind: "batch"; readonly changes: readonly ClientChange[] }
  | { readonly kind: "action"; readonly name: string; readonly input: Fields };

/** A mutation as it waits, on disk and in every tab. */
export interface QueuedMutation {
  readonly id: string;
  readonly request: MutationRequest;
  /** Refused, and kept until decided on. */
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
export interface Ended {
  readonly mutation: QueuedMutation;
  readonly settlement: Settlement;
}
/** What became of the first of a line, and why the rest has no end yet; null when all have one. */
export interface Outcome {
  readonly ends: readonly Ended[];
  readonly problem: ClientProblem | null;
}

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
    data: data && toWireNames(data),
    expected_version: expectedVersion,
  };
}

/** A mutation as one of a line. */
function toWireMutation({ id: mutation_id, request }: QueuedMutation) {
  if (request.kind === "commit") return { mutation_id, commit: toWireChange(request.change) };
  if (request.kind === "batch")
    return { mutation_id, batch: { changes: request.changes.map(toWireChange) } };
  return { mutation_id, action: request.name, input: toWireNames(request.input) };
}

const changesOf = (request: MutationRequest): readonly ClientChange[] =>
  request.kind === "batch" ? request.changes : request.kind === "commit" ? [request.change] : [];

/**
 * The records of an answer as they stand after all of its changes. The answer of an action does not say
 * of which types its records are; the stream does.
 */
function lastRecords(
  request: MutationRequest,
  resources: readonly ClientRecord[],
): readonly TypedRecord[] {
  const last = new Map(changesOf(request).map((change) => [change.id.toLowerCase(), change]));
  const records = new Map<string, TypedRecord>();
  for (const record of resources) {
    const change = last.get(record.id);
    if (change !== undefined && change.operation !== "delete")
      records.set(record.id, { type: change.type, record });
  }
  return [...records.values()];
}

const toProblem = (problem: Fields) => renameKeys(problem, toCamelCase) as ClientProblem;

function toSettlement(body: Fields, { request }: QueuedMutation): Settlement {
  const { problem, resource, resources = [resource], last_sequence, output = null } = body;
  if (isFields(problem)) return { kind: "rejected", problem: toProblem(problem) };
  const { sequence = last_sequence } = body;
  const known = toRecords(resources);
  return {
    kind: "committed",
    receipt: {
      sequence: typeof sequence === "number" ? sequence : null,
      resources: known,
      output,
    },
    records: lastRecords(request, known),
  };
}

/** How many mutations and about how many bytes go at once. */
const lineMax = { count: 100, bytes: 1_000_000 };

/** The first that are sent together; one at least. */
export function nextLine(waiting: readonly QueuedMutation[]): readonly QueuedMutation[] {
  let bytes = 0;
  const fits = (one: QueuedMutation): boolean =>
    (bytes += JSON.stringify(one.request).length) <= lineMax.bytes;
  const line = waiting.slice(0, lineMax.count);
  const end = line.findIndex((one, at) => !fits(one) && at > 0);
  return end < 0 ? line : line.slice(0, end);
}

export const mayPass = ({ retry, status }: ClientProblem): boolean =>
  retry !== "never" || status === 401 || status === 426;

/**
 * Sends mutations in their order, in one request. Each goes under its own id, and the same id takes
 * effect once, however often it is sent (I5). Never throws.
 */
export async function sendMutations(
  transport: Transport,
  line: readonly QueuedMutation[],
): Promise<Outcome> {
  const nothing = problemOf("unreadable", "No answer.");
  try {
    const { answers, stopped } = await transport.json("mutations", {
      body: { mutations: line.map(toWireMutation) },
    });
    const known = Array.isArray(answers) ? answers : [];
    const ends = line.flatMap((mutation, at): Ended[] => {
      const body: unknown = known[at];
      return isFields(body) ? [{ mutation, settlement: toSettlement(body, mutation) }] : [];
    });
    const problem = isFields(stopped) ? toProblem(stopped) : ends.length === 0 ? nothing : null;
    return { ends, problem };
  } catch (error) {
    return { ends: [], problem: problemIn(error, nothing) };
  }
}

export function isQueuedMutation(value: unknown): value is QueuedMutation {
  return isFields(value) && typeof value["id"] === "string" && isFields(value["request"]);
}
