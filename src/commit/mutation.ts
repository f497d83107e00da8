import { decodeEntries, selectRange } from "../log/sync-log.ts";
import { SyncError } from "../protocol/errors.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import type { Database, Statement } from "../store/database.ts";
import type { Receipt, Submission } from "./change.ts";
import type { KnownMutation } from "./load.ts";
import { slotKey } from "./plan.ts";

/** What `mutations` keeps of an answer that the log cannot give back. */
interface Stored extends Receipt {
  readonly refusal: {
    readonly code: ErrorCode;
    readonly facts: SyncError["facts"];
    readonly detail: string;
  };
}

const INSERT = `INSERT INTO mutations (mutation_id, fingerprint, first_sequence, last_sequence, answer, created_at)
  VALUES (?, ?, ?, ?, ?, ?)`;

/** Keeps what a mutation did, so that it never does it again. */
export function rememberMutation(
  submission: Submission,
  receipt: Receipt,
  now: number,
): Statement[] {
  const { mutationId, fingerprint, changes } = submission;
  if (mutationId === null) return [];
  const { firstSequence, lastSequence, resources, output, epoch, transactionId } = receipt;
  // The log can give back every answer but those of changes that left no entry of their own.
  const isInLog =
    firstSequence !== null &&
    lastSequence !== null &&
    lastSequence - firstSequence + 1 === changes.length &&
    output === undefined &&
    changes.every(({ resource }) => resource.isPlain);
  const answer = isInLog ? null : JSON.stringify({ resources, output, epoch, transactionId });
  return [
    { sql: INSERT, args: [mutationId, fingerprint, firstSequence, lastSequence, answer, now] },
  ];
}

/** The refusals that follow from what stood in the library when the mutation came. */
const lasting: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "already_exists",
  "forbidden",
  "invalid_record",
  "not_found",
  "version_conflict",
]);

/**
 * Keeps that a mutation was refused: a copy of it that is still under way, to this node or another,
 * must not take effect after its client was told that it did not (I5).
 */
export function rememberRefusal(
  submission: Submission,
  { code, facts, message }: SyncError,
  now: number,
): Statement[] {
  const { mutationId, fingerprint, keepsRefusal } = submission;
  if (mutationId === null || !keepsRefusal || !lasting.has(code)) return [];
  const answer = JSON.stringify({ refusal: { code, facts, detail: message } });
  return [{ sql: INSERT, args: [mutationId, fingerprint, null, null, answer, now] }];
}

/** True when another node has answered the same mutation meanwhile. */
export function isAnsweredElsewhere(error: unknown): boolean {
  return error instanceof Error && error.message.includes("mutations.mutation_id");
}

/** The answer that a mutation got the first time, from what the log and `mutations` keep (I5). @throws the refusal it got */
export async function replayedReceipt(
  database: Database,
  submission: Submission,
  known: KnownMutation,
): Promise<Receipt> {
  const { firstSequence, lastSequence } = known;
  const stored = known.answer === null ? null : (JSON.parse(known.answer) as Partial<Stored>);
  if (stored?.refusal !== undefined) {
    const { code, facts, detail } = stored.refusal;
    throw new SyncError(code, facts, { detail });
  }
  const [rows = []] =
    firstSequence === null || lastSequence === null
      ? []
      : await database.readPrimary([selectRange(firstSequence, lastSequence)]);
  const entries = decodeEntries(rows);
  const byRecord = new Map(
    entries.map((entry) => [slotKey(entry.modelType, entry.recordId), entry]),
  );
  const resources = submission.changes.map(({ resource, id }) => {
    const entry = byRecord.get(slotKey(resource.type, id));
    return entry === undefined || entry.data === null
      ? null
      : { id, version: entry.version, ...entry.data };
  });
  return {
    firstSequence,
    lastSequence,
    epoch: entries[0]?.epoch ?? stored?.epoch ?? 0,
    transactionId: entries[0]?.transactionId ?? stored?.transactionId ?? "",
    replayed: true,
    resources: stored?.resources ?? resources,
    ...(stored?.output === undefined ? {} : { output: stored.output }),
  };
}
