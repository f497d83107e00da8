import type { Database } from "../store/database.ts";
import type { Receipt } from "./change.ts";
import type { GroupPlan, Planned } from "./group.ts";
import { loadSlots } from "./load.ts";
import { replayedReceipt } from "./mutation.ts";
import type { Waiting } from "./queue.ts";

/** The answer of a member that the plan alone does not hold. @throws what the member was refused for */
async function answer(
  member: Planned,
  { submission }: Waiting,
  { plan, database }: { readonly plan: GroupPlan; readonly database: Database },
): Promise<Receipt> {
  if (member.kind === "fail") throw member.error;
  if (member.kind === "same") {
    const twin = plan.members[member.as];
    if (twin?.kind === "fail") throw twin.error;
    if (twin === undefined || !("receipt" in twin))
      throw new Error("Bug: a twin without a receipt");
    return { ...twin.receipt, replayed: true };
  }
  if (member.kind !== "replay") return member.receipt;
  const known = await loadSlots(database.readPrimary, [], {
    mutationIds: [submission.mutationId ?? ""],
  });
  const [mutation] = known.mutations.values();
  if (mutation === undefined) throw new Error("Bug: a replayed mutation is not on record");
  return replayedReceipt(database, submission, mutation);
}

/** Tells everyone who waits what the durable plan says of them, in their order. */
export async function settle(
  waiting: readonly Waiting[],
  plan: GroupPlan,
  database: Database,
): Promise<void> {
  for (const [index, one] of waiting.entries()) {
    const member = plan.members[index];
    if (member === undefined) continue;
    if (member.kind === "write" || member.kind === "unchanged") one.resolve(member.receipt);
    else await answer(member, one, { plan, database }).then(one.resolve, one.reject);
  }
}

/** After an error that says nothing about the write: did it happen? The database knows. */
export async function isDurable(plan: GroupPlan, database: Database): Promise<boolean> {
  const [first] = plan.entries;
  if (first === undefined) return false;
  const [rows = []] = await database.readPrimary([
    { sql: "SELECT transaction_id FROM sync_log WHERE sequence = ?", args: [first.sequence] },
  ]);
  return rows[0]?.[0] === first.transactionId;
}
