/**
 * One cache of the comparison in a process of its own, so that one that takes too long can be ended
 * and none profits from what the engine learned with another.
 *
 * @module
 */
import { answerCalls } from "../child.ts";
import type { Contender } from "./contender.ts";
import { createTable } from "./rows.ts";
import {
  measureGrowth,
  measureHeap,
  timeBatch,
  timeHydrate,
  timeOptimistic,
  timeUpdates,
} from "./run.ts";
import { verify } from "./verify.ts";

type Create = () => Contender;

/** Loaded one at a time: what a library does when it is imported is its own. */
const contenders = {
  bare: async () => {
    const { createBare } = await import("./bare.ts");
    return () => createBare(false);
  },
  syncline: async () => {
    const { createOurs } = await import("./ours.ts");
    return () => createOurs({ records: 1_000_000, queries: 100_000 });
  },
  tanstackDb: async () => (await import("./tanstack-db.ts")).createTanStackDb,
  tanstackQuery: async () => {
    const { createTanStackQuery } = await import("./tanstack-query.ts");
    return () => createTanStackQuery(false);
  },
  tanstackQueryKnown: async () => {
    const { createTanStackQuery } = await import("./tanstack-query.ts");
    return () => createTanStackQuery(true);
  },
  apollo: async () => (await import("./apollo.ts")).createApollo,
  graphcache: async () => (await import("./graphcache.ts")).createGraphcache,
  normy: async () => (await import("./normy.ts")).createNormy,
} satisfies Record<string, () => Promise<Create>>;

const measures = {
  update: (create: Create) => timeUpdates(create, createTable(100, 100)),
  growth: measureGrowth,
  hydrate: timeHydrate,
  batch: (create: Create) => timeBatch(create, createTable(100, 100)),
  optimistic: (create: Create) => timeOptimistic(create, createTable(100, 100)),
  heap: measureHeap,
};

export type ContenderName = keyof typeof contenders;
export type MeasureName = keyof typeof measures;

const calls = {
  verify: async (name: ContenderName) => verify(await contenders[name]()),
  measure: async (input: { readonly contender: ContenderName; readonly measure: MeasureName }) =>
    measures[input.measure](await contenders[input.contender]()),
};
export type PeerCalls = typeof calls;

answerCalls(calls);
