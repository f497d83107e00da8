import type { ClientRecord } from "./record.ts";

// Inputs are contravariant in the rules, hence `any`.
// oxlint-disable-next-line typescript/no-explicit-any
type RuleInput = any;

/** What the client knows of the queries and actions of the plugins, by "plugin.name". */
export interface ClientRules {
  readonly queries: Readonly<Record<string, QueryRule>>;
  readonly actions: Readonly<Record<string, ActionRule>>;
}

/** How the cache keeps the answers of one query right without asking again. */
export interface QueryRule {
  /** The type of the records in the answer; null when it holds plain values. */
  readonly returns: string | null;
  /** Whether a record belongs into the answer. Without it every change of the type asks again. */
  readonly matches?: (record: ClientRecord, input: RuleInput) => boolean;
  /** The order of the answer; the cache breaks ties by id. Without it new records are asked for. */
  readonly compare?: (left: ClientRecord, right: ClientRecord, input: RuleInput) => number;
  /** The page size: a full page that loses a record is asked for again, a short one is complete. */
  readonly limit?: (input: RuleInput) => number | null;
  /**
   * Fields on which a record and the input must agree before `matches` is even tried (a missing
   * one counts as null). A change then costs the same with ten live lists and with ten thousand.
   */
  readonly partition?: readonly string[];
}

export interface ActionRule {
  /** Foretells what the action will do. Runs again over every newer base: it must be deterministic. */
  readonly optimistic?: (draft: Draft, input: RuleInput) => void;
}

/** The records as the mutations before this one leave them. */
export interface Draft {
  get(type: string, id: string): ClientRecord | null;
  insert(type: string, record: { readonly id: string } & Readonly<Record<string, unknown>>): void;
  /** Changes these fields; a record that is unknown or deleted stays so. */
  update(type: string, id: string, fields: Readonly<Record<string, unknown>>): void;
  delete(type: string, id: string): void;
  all(type: string): Iterable<ClientRecord>;
}

/** A change that is not yet part of the base; replayed over every newer base of what it touches. */
export interface Mutation {
  readonly id: string;
  readonly apply: (draft: Draft) => void;
}
