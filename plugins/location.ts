/**
 * Locations: directory trees that one device has indexed.
 *
 * @module
 */
import { asc } from "drizzle-orm";
import { text } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { definePlugin, defineQuery, defineResource, resourceTable } from "../src/index.ts";
import { isBehind } from "./page.ts";
import { locationRules } from "./rules/location.ts";

export const locations = resourceTable("locations", {
  deviceId: text().notNull(),
  name: text().notNull(),
  pathHint: text(),
});

export const location = defineResource({
  type: "location",
  table: locations,
  input: z.strictObject({
    deviceId: z.string().min(1).max(200),
    name: z.string().min(1).max(255),
    pathHint: z.string().max(4_096).nullish(),
  }),
  sync: { domain: "index" },
  // Every device browses the index of the others, so their bulks are fetched, not only noticed.
  onBulk: (_notice, { fetch }) => fetch(),
});

export const locationPlugin = definePlugin({
  name: "location",
  resources: [location],
  queries: {
    list: defineQuery({
      ...locationRules.queries["location.list"],
      input: z.strictObject({
        limit: z.int().min(1).max(10_000).default(1_000),
        after: z.string().optional(),
        afterId: z.guid().toLowerCase().optional(),
      }),
      returns: "location",
      resolve: async ({ db }, input) => {
        const rows = await db
          .select({ id: locations.id })
          .from(locations)
          .where(isBehind([locations.name, locations.id], input))
          .orderBy(asc(locations.name), asc(locations.id))
          .limit(input.limit);
        return rows.map((row) => row.id);
      },
    }),
  },
});
