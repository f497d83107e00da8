import {
  createClient,
  eventsOf,
  openConflicts,
  openJobs,
  openMemory,
  statsOf,
} from "syncline/client";
import { clientRules } from "syncline/plugins/rules";
import { compareText } from "syncline/rules";
import type { App, everything } from "./registry.ts";

const at = { url: "http://127.0.0.1:8787", library: "", token: "" };
export const rules = {
  queries: {
    "note.list": {
      returns: "note",
      compare: (left: { title: string }, right: { title: string }) =>
        compareText(left.title, right.title),
    },
  },
  actions: {},
};
export const client = createClient<App>({ ...at, rules, persistence: openMemory() });
export const photos = createClient<typeof everything>({ ...at, rules: clientRules });
export const list = client.query("note.list", {});
export const record = client.record("note", "");
export const made = client.insert("note", { title: "milk" });
export const finished = client.action("note.finish", { id: "" });
export const parts = [openConflicts(client), openJobs(client), eventsOf(client)] as const;
export const stats = statsOf(client.cache);
// @ts-expect-error -- There is no such type.
export const unknown = () => client.insert("nothing", {});
// @ts-expect-error -- There is no such field.
export const misspelled = () => client.insert("note", { titel: "milk" });
