/**
 * What a client knows about locations without asking.
 *
 * @module
 */
import { compareText } from "../../src/resource/rules.ts";
import type { ClientRules } from "../../src/resource/rules.ts";

export const locationRules = {
  queries: {
    "location.list": {
      returns: "location",
      matches: () => true,
      compare: (left: { readonly name: string }, right: { readonly name: string }) =>
        compareText(left.name, right.name),
      limit: () => 1_000,
    },
  },
  actions: {},
} satisfies ClientRules;
