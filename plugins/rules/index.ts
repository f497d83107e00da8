import type { ClientRules } from "../../src/resource/rules.ts";
import { albumRules } from "./album.ts";
import { fileRules } from "./file.ts";
import { locationRules } from "./location.ts";
import { tagRules } from "./tag.ts";

/** The rules of the bundled plugins, for `createClient({ rules: clientRules })`. */
export const clientRules = {
  queries: {
    ...albumRules.queries,
    ...fileRules.queries,
    ...locationRules.queries,
    ...tagRules.queries,
  },
  actions: { ...albumRules.actions, ...fileRules.actions, ...tagRules.actions },
} satisfies ClientRules;
