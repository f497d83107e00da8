import { isNotNull, sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** One row: who this library is, how far its history goes, and who leads it (the lease). */
export const library = sqliteTable("library", {
  id: text().primaryKey(),
  name: text().notNull(),
  description: text(),
  historyId: text("history_id").notNull(),
  head: integer().notNull(),
  epoch: integer().notNull(),
  leaderDeviceId: text("leader_device_id"),
  leaderUrl: text("leader_url"),
  leaseExpiresAt: integer("lease_expires_at").notNull(),
  oldestSequence: integer("oldest_sequence").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const syncLog = sqliteTable(
  "sync_log",
  {
    sequence: integer().primaryKey(),
    epoch: integer().notNull(),
    transactionId: text("transaction_id").notNull(),
    deviceId: text("device_id").notNull(),
    mutationId: text("mutation_id"),
    timestampMs: integer("timestamp_ms").notNull(),
    domain: text().notNull(),
    modelType: text("model_type").notNull(),
    recordId: text("record_id").notNull(),
    changeType: text("change_type").notNull(),
    version: integer().notNull(),
    /** What kind of batch it was ("Update", "Index", "WatcherBatch"); null for a single commit. */
    operation: text(),
    data: text(),
  },
  (table) => [index("sync_log_record").on(table.modelType, table.recordId)],
);

/** What each mutation id did: enforces once-only (I5), also for those that changed nothing. */
export const mutations = sqliteTable("mutations", {
  mutationId: text("mutation_id").primaryKey(),
  fingerprint: text().notNull(),
  firstSequence: integer("first_sequence"),
  lastSequence: integer("last_sequence"),
  answer: text(),
  createdAt: integer("created_at").notNull(),
});

export const tombstones = sqliteTable(
  "tombstones",
  {
    modelType: text("model_type").notNull(),
    recordId: text("record_id").notNull(),
    version: integer().notNull(),
    sequence: integer().notNull(),
    deletedAt: integer("deleted_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.modelType, table.recordId] })],
);

export const bulkOperations = sqliteTable("bulk_operations", {
  token: text().primaryKey(),
  resourceType: text("resource_type").notNull(),
  mode: text().notNull(),
  state: text().notNull(),
  deviceId: text("device_id").notNull(),
  hints: text().notNull(),
  firstRecordId: text("first_record_id"),
  lastRecordId: text("last_record_id"),
  receivedCount: integer("received_count").notNull(),
  affectedCount: integer("affected_count").notNull(),
  failedCount: integer("failed_count").notNull(),
  sequence: integer(),
  answer: text(),
  updatedAt: integer("updated_at").notNull(),
});

/** Order-independent sums over the records of each type, kept in the transaction that changes them. */
export const checksums = sqliteTable("checksums", {
  resourceType: text("resource_type").primaryKey(),
  count: integer().notNull(),
  sum: integer().notNull(),
});

export const conflicts = sqliteTable("conflicts", {
  id: text().primaryKey(),
  resourceType: text("resource_type").notNull(),
  recordId: text("record_id").notNull(),
  deviceId: text("device_id").notNull(),
  expectedVersion: integer("expected_version").notNull(),
  currentVersion: integer("current_version").notNull(),
  operation: text().notNull(),
  data: text(),
  base: text(),
  createdAt: integer("created_at").notNull(),
  resolvedAt: integer("resolved_at"),
  choice: text(),
});

export const devices = sqliteTable("devices", {
  id: text().primaryKey(),
  name: text().notNull(),
  publicKey: text("public_key"),
  createdAt: integer("created_at").notNull(),
  seenAt: integer("seen_at").notNull(),
  revokedAt: integer("revoked_at"),
});

export const syncPositions = sqliteTable("sync_positions", {
  deviceId: text("device_id").primaryKey(),
  sequence: integer().notNull(),
  epoch: integer().notNull(),
  updatedAt: integer("updated_at").notNull(),
});

/**
 * Writes of a follower that wait for its leader; those with a `problem` were refused by it. Those with a
 * `sequence` were taken, and are kept until the replica's own log has come that far.
 */
export const outbox = sqliteTable(
  "outbox",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    mutationId: text("mutation_id").notNull().unique(),
    request: text().notNull(),
    createdAt: integer("created_at").notNull(),
    path: text().notNull().default("commit"),
    deviceId: text("device_id").notNull().default(""),
    problem: text(),
    sequence: integer(),
  },
  // Each is in one of them, so that no kind is read to find another.
  ({ id, problem, sequence }) => [
    index("outbox_waiting")
      .on(id)
      .where(sql`${problem} is null and ${sequence} is null`),
    index("outbox_refused").on(id).where(isNotNull(problem)),
    index("outbox_taken").on(sequence).where(isNotNull(sequence)),
  ],
);

/**
 * In a library's database: that it follows a leader, and how far its snapshot has come. While this
 * row stands nobody takes the lease. In the catalog: where the leader of each library is; without a token
 * a promotion has begun, without an address too it has come to its end.
 */
export const follower = sqliteTable("follower", {
  libraryId: text("library_id").primaryKey(),
  leaderUrl: text("leader_url").notNull(),
  token: text(),
  /** As which device it follows; null for the node that reads this. */
  deviceId: text("device_id"),
  /** The types still to read, as JSON, the current one first; null when no snapshot runs. */
  snapshotTypes: text("snapshot_types"),
  /** The last id of the current type that is stored. */
  snapshotKey: text("snapshot_key").notNull().default(""),
  snapshotSequence: integer("snapshot_sequence"),
  snapshotHistoryId: text("snapshot_history_id"),
  /** A full snapshot replaces the log too; a partial one mends some types. */
  isFull: integer("is_full", { mode: "boolean" }).notNull().default(true),
  /** Types of domain `index` of which a bulk was only noticed, as JSON: they are not verified. */
  noticedTypes: text("noticed_types").notNull().default("[]"),
});

/** Long work that answers later, such as a merge; it goes on after a restart. */
export const jobs = sqliteTable("jobs", {
  id: text().primaryKey(),
  name: text().notNull(),
  libraryId: text("library_id").notNull(),
  status: text().notNull(),
  progress: integer().notNull(),
  message: text().notNull(),
  input: text().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const revocations = sqliteTable(
  "revocations",
  {
    kind: text().notNull(),
    value: text().notNull(),
    revokedAt: integer("revoked_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.value] })],
);

/** The catalog's list of libraries. Every database has the same tables; the catalog uses this one. */
export const libraries = sqliteTable("libraries", {
  id: text().primaryKey(),
  name: text().notNull(),
  description: text(),
  /** active, deleted, or merged: then the id is another name of `mergedInto`. */
  state: text().notNull(),
  createdAt: integer("created_at").notNull(),
  mergedInto: text("merged_into"),
  /** The library's state as it was last told, so that listing opens none: JSON. */
  summary: text(),
});

export const nodes = sqliteTable("nodes", {
  deviceId: text("device_id").primaryKey(),
  url: text(),
  seenAt: integer("seen_at").notNull(),
});
