import core from "../../migrations/0000_core.sql" with { type: "text" };
import guards from "../../migrations/0001_guards.sql" with { type: "text" };
import followers from "../../migrations/0002_followers.sql" with { type: "text" };
import merged from "../../migrations/0004_merged.sql" with { type: "text" };
import summary from "../../migrations/0005_summary.sql" with { type: "text" };
import followerDevice from "../../migrations/0006_follower_device.sql" with { type: "text" };
import outboxIndex from "../../migrations/0007_outbox_index.sql" with { type: "text" };
import outboxTaken from "../../migrations/0008_outbox_taken.sql" with { type: "text" };
import bulkLast from "../../migrations/0009_bulk_last.sql" with { type: "text" };
import lease from "../../migrations/0003_lease.sql" with { type: "text" };

/** The service's own migrations as text, so that runtimes without a file system have them too. */
export const coreMigrations: Readonly<Record<string, string>> = {
  "0000_core": core,
  "0001_guards": guards,
  "0002_followers": followers,
  "0003_lease": lease,
  "0004_merged": merged,
  "0005_summary": summary,
  "0006_follower_device": followerDevice,
  "0007_outbox_index": outboxIndex,
  "0008_outbox_taken": outboxTaken,
  "0009_bulk_last": bulkLast,
};
