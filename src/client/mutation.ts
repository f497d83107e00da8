import type { ClientRecord, TypedRecord } from "./record.ts";
import type { ClientRules, Draft, Mutation } from "./rules.ts";
import type { ClientError, ClientProblem, Transport } from "./transport.ts";
import { isFields, toRecords, toWireNames } from "./wire.ts";

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

/** A mutation as it waits, on disk and in every tab. */
export interface QueuedMutation {
  readonly id: string;
  readonly request: MutationRequest;
  /** Refused, and kept until decided on. */
  readonly problem?: ClientProblem;
  /**
   * How it is sent, once that is decided: by itself under its own id, or with others as one batch under
   * the id of their group. It is on disk before the first attempt, so that a later one is the same (I5).
   */
  readonly group?: "alone" | { readonly id: string; readonly at: number };
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
/** "later": not yet, for want of the network, of a token or of a service that is not busy. */
export type Outcome =
  | { readonly kind: "ended"; readonly ends: readonly Ended[] }
  | { readonly kind: "later"; readonly problem: ClientProblem };

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

function post(transport: Transport, { id, request }: QueuedMutation): Promise<Fields> {
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

/** How many of a backlog go at once, and from how many on that is worth it. */
const groupSize = { least: 10, most: 100 };

const groupId = (group: QueuedMutation["group"]): string | null =>
  typeof group === "object" ? group.id : null;
const placeOf = ({ group }: QueuedMutation): number => (typeof group === "object" ? group.at : 0);

/** The first that are to be sent together: as was decided before, or as many changes as stand in a row. */
export function nextGroup(waiting: readonly QueuedMutation[]): readonly QueuedMutation[] {
  const first = waiting.slice(0, 1);
  const decided = first[0]?.group;
  if (decided === "alone") return first;
  if (decided !== undefined)
    return waiting
      .filter(({ group }) => groupId(group) === decided.id)
      .sort((left, right) => placeOf(left) - placeOf(right));
  const isFree = ({ request, group }: QueuedMutation): boolean =>
    request.kind === "commit" && group === undefined;
  const head = waiting.slice(0, groupSize.most);
  const end = head.findIndex((one) => !isFree(one));
  const row = end < 0 ? head : head.slice(0, end);
  return row.length < groupSize.least ? first : row;
}

const changesOf = (request: MutationRequest): readonly ClientChange[] =>
  request.kind === "batch" ? request.changes : request.kind === "commit" ? [request.change] : [];

/**
 * The records of an answer as they stand after all of its changes. The answer of an action does not say
 * of which types its records are; the stream does.
 */
function lastRecords(
  changes: readonly ClientChange[],
  resources: readonly ClientRecord[],
): readonly TypedRecord[] {
  const last = new Map(changes.map((change) => [change.id.toLowerCase(), change]));
  const records = new Map<string, TypedRecord>();
  for (const record of resources) {
    const change = last.get(record.id);
    if (change !== undefined && change.operation !== "delete")
      records.set(record.id, { type: change.type, record });
  }
  return [...records.values()];
}

const toSequence = (given: unknown): number | null => (typeof given === "number" ? given : null);

function toSettlement(body: Fields, request: MutationRequest): Settlement {
  const isOne = request.kind === "commit";
  const resources = toRecords(isOne ? [body["resource"]] : body["resources"]);
  const sequence = toSequence(body[isOne ? "sequence" : "last_sequence"]);
  return {
    kind: "committed",
    receipt: { sequence, resources, output: body["output"] ?? null },
    records: lastRecords(changesOf(request), resources),
  };
}

/** What each of a group became: the answer lists their records in their order, and none for a deletion. */
function divide(body: Fields, group: readonly QueuedMutation[]): readonly Ended[] {
  const left = toRecords(body["resources"]);
  const sequence = toSequence(body["last_sequence"]);
  const changes = group.flatMap(({ request }) => changesOf(request));
  const last = lastRecords(changes, left);
  return group.map((mutation, index) => {
    const { id, operation } = changes[index] ?? {};
    const at =
      operation === "delete" ? -1 : left.findIndex((record) => record.id === id?.toLowerCase());
    const resources = at < 0 ? [] : left.splice(at, 1);
    const receipt = { sequence, resources, output: null };
    const records = last.filter(({ record }) => record === resources[0]);
    return { mutation, settlement: { kind: "committed", receipt, records } };
  });
}

/** Which of a group were refused: the one that the problem names. None: the others have to be asked for one by one. */
export function refusedOf(
  problem: ClientProblem,
  group: readonly QueuedMutation[],
): readonly Ended[] {
  const { index, ...own } = problem;
  const named = group.length > 1 ? group[Number(index)] : undefined;
  if (named !== undefined)
    return [{ mutation: named, settlement: { kind: "rejected", problem: own } }];
  // Other content took effect under this id: what these are to do is for a person to say.
  const isAll = group.length === 1 || problem.code === "mutation_reused";
  if (!isAll) return [];
  return group.map((mutation) => ({ mutation, settlement: { kind: "rejected", problem } }));
}

/** Sends one mutation, or a group as one batch. The same id takes effect once, however often it is sent (I5). Never throws. */
export async function sendMutations(
  transport: Transport,
  group: readonly QueuedMutation[],
): Promise<Outcome> {
  const [first] = group;
  if (first === undefined) return { kind: "ended", ends: [] };
  const mutation_id = groupId(first.group);
  const isAlone = mutation_id === null;
  const sent = isAlone
    ? post(transport, first)
    : transport.json("batch", {
        body: {
          changes: group.flatMap(({ request }) => changesOf(request)).map(toWireChange),
          mutation_id,
        },
      });
  let body: Fields;
  try {
    body = await sent;
  } catch (error) {
    const { problem } = error as ClientError;
    const isLater = problem.retry !== "never" || problem.status === 401 || problem.status === 426;
    if (isLater) return { kind: "later", problem };
    return { kind: "ended", ends: refusedOf(problem, group) };
  }
  if (!isAlone) return { kind: "ended", ends: divide(body, group) };
  const settlement = toSettlement(body, first.request);
  return { kind: "ended", ends: [{ mutation: first, settlement }] };
}

export function isQueuedMutation(value: unknown): value is QueuedMutation {
  return isFields(value) && typeof value["id"] === "string" && isFields(value["request"]);
}
