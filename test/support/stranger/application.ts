/** What an application makes of the types, and exports: each must have a name that a declaration file can write. */
import { createRegistry } from "syncline";
import type { InsertInput, RecordOf } from "syncline";
import {
  createClient,
  eventsOf,
  openConflicts,
  openJobs,
  openMemory,
  statsOf,
} from "syncline/client";
import { createHooks } from "syncline/client/react";
import { synclineCollectionOptions } from "syncline/client/tanstack-db";
import { bundledPlugins } from "syncline/plugins";
import { clientRules } from "syncline/plugins/rules";
import { compareText } from "syncline/rules";
import { plugins } from "./syncline.config.ts";

type App = { readonly plugins: typeof plugins };

export const registry = createRegistry(plugins);
export const everything = createRegistry([...bundledPlugins, ...plugins] as const);
export const client = createClient<App>({
  url: "http://127.0.0.1:8787",
  library: "",
  token: "",
  rules: {
    queries: {
      "note.list": {
        returns: "note",
        compare: (left: { title: string }, right: { title: string }) =>
          compareText(left.title, right.title),
      },
    },
    actions: {},
  },
  persistence: openMemory(),
});
export const photos = createClient<typeof everything>({
  url: "",
  library: "",
  token: "",
  rules: clientRules,
});
export const { SynclineProvider, useAction, useMutation, useQuery, useSuspenseQuery } =
  createHooks<App>();
export const list = client.query("note.list", {});
export const record = client.record("note", "");
export const made = client.insert("note", { title: "milk" });
export const parts = [openConflicts(client), openJobs(client), eventsOf(client)] as const;
export const stats = statsOf(client.cache);
export const options = synclineCollectionOptions(client, {
  query: "note.list",
  input: {},
  type: "note",
});
export const input: InsertInput<App, "note"> = { title: "milk" };
export const title: RecordOf<App, "note">["title"] = "milk";
// @ts-expect-error -- It is a string.
export const wrong: RecordOf<App, "note">["title"] = 1;
export const useFinished = (): number | undefined => useAction("note.finish").output?.finished;

// @ts-expect-error -- There is no such type.
export const unknown = () => client.insert("nothing", {});
// @ts-expect-error -- There is no such field.
export const misspelled = () => client.insert("note", { titel: "milk" });
