/**
 * What a folder outside this repository brings to a service that is started in it: its own plugin,
 * with nothing of ours but the package by its name.
 */
import { text } from "drizzle-orm/sqlite-core";
import { definePlugin, defineResource, resourceTable } from "syncline";
import * as v from "valibot";

const input = v.object({ value: v.string() });

/** Refuses a write whose author had not seen the version it replaces. */
const register = defineResource({
  type: "register",
  table: resourceTable("registers", { value: text().notNull() }),
  input,
  sync: { domain: "metadata", conflict: "reject" },
});
/** Is written once, and must be in every history once. */
const line = defineResource({
  type: "line",
  table: resourceTable("lines", { value: text().notNull() }),
  input,
  sync: { domain: "metadata" },
});

const columns = `id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, origin_device_id TEXT NOT NULL, value TEXT NOT NULL`;

export const plugins = [
  definePlugin({
    name: "outside",
    resources: [register, line],
    migrations: {
      "0001_outside": `CREATE TABLE registers (${columns});
--> statement-breakpoint
CREATE TABLE lines (${columns});`,
    },
  }),
];
