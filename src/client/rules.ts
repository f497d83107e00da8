import type { Draft } from "../resource/rules.ts";

export type { ActionRule, ClientRules, Draft, QueryRule } from "../resource/rules.ts";

/** A change that is not yet part of the base; replayed over every newer base of what it touches. */
export interface Mutation {
  readonly id: string;
  readonly apply: (draft: Draft) => void;
}
