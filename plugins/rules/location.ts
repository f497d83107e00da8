/**
 * What a client knows about locations without asking.
 *
 * @module
 */
import { compareText, isAfter } from "../../src/resource/rules.ts";
import type { ClientRules, TextCursor } from "../../src/resource/rules.ts";

export interface LocationFields {
  readonly id: string;
  readonly name: string;
}

export interface LocationListInput extends TextCursor {
  readonly limit?: number | undefined;
}

export const locationRules = {
  queries: {
    "location.list": {
      returns: "location",
      matches: ({ id, name }: LocationFields, input: LocationListInput) =>
        isAfter({ id, text: name }, input),
      compare: (left: LocationFields, right: LocationFields) => compareText(left.name, right.name),
      limit: ({ limit }: LocationListInput) => limit ?? 1_000,
    },
  },
  actions: {},
} satisfies ClientRules;
