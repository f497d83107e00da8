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
  absent: {
    album: { description: null, coverId: null },
    tag: { color: null },
    location: { pathHint: null },
    file: { parentId: null, extension: null, mime: null, modifiedAt: null, contentId: null },
    user_metadata: { notes: null, custom: null },
  },
} satisfies ClientRules;
