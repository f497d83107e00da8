import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Cache } from "./cache.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import { createSignal } from "./signal.ts";
import { problemIn, problemOf, reasonOf } from "./transport.ts";
import type { ClientProblem, Transport } from "./transport.ts";
import { toAnswer, toRecord, toWireNames } from "./wire.ts";

/** How often a read is asked again before its reader is told. */
const attemptsMax = 3;

export interface RequestsOptions {
  readonly cache: Cache;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Questions to the service. They wait until the stream stands (subscribe, then head, then query), so
 * that what changes while an answer travels is heard; equal questions share one request. They never
 * fail: what went wrong stands in the cache, for whoever reads there.
 */
export interface Requests {
  fetchQuery(key: QueryKey): Promise<void>;
  fetchRecord(ref: RecordRef): Promise<void>;
  /** Whether the service may be asked. What waits goes out when it may. */
  setOpen(isOpen: boolean): void;
  /** The base began afresh: answers under way speak of another one. */
  startAfresh(): void;
}

interface Ask {
  /** Equal names share one request. */
  readonly name: string;
  /** Why it failed, or null: it is under way. Answers false when nobody waits for it any more. */
  readonly note: (problem: ClientProblem | null) => unknown;
  readonly send: () => ReturnType<Transport["json"]>;
  readonly apply: (body: Readonly<Record<string, unknown>>) => void;
}

/** Asks, again and again where that may help, and anew for what is looked at whenever the service may be asked again. */
function createAsker({ cache, clock, random }: RequestsOptions) {
  const underWay = new Map<string, Promise<void>>();
  let era = 0;
  let isOpen = false;
  let [opened, open] = createSignal();

  const attempt = async (one: Ask): Promise<void> => {
    for (let count = 1; ; count += 1) {
      await opened;
      if (one.note(null) === false) return void underWay.delete(one.name);
      const mine = era;
      try {
        const body = await one.send();
        if (mine !== era) continue;
        // An answer may turn out too old while it is taken, and is then asked for again at once.
        underWay.delete(one.name);
        one.apply(body);
        return;
      } catch (error) {
        if (mine !== era) continue;
        const problem = problemIn(error, problemOf("unreadable", reasonOf(error), "never"));
        const wait = (attempt: number): Promise<void> =>
          clock.sleep(Math.max(problem.retryAfterMs ?? 0, backoffMs(attempt, random())));
        const mayPass = problem.retry !== "never";
        if (!mayPass || count >= attemptsMax) {
          underWay.delete(one.name);
          one.note(problem);
          if (mayPass) void wait(9).then(() => cache.askAll(problem));
          return;
        }
        await wait(count - 1);
      }
    }
  };
  const ask = (one: Ask): Promise<void> => {
    one.note(null);
    const asked = underWay.get(one.name) ?? attempt(one);
    underWay.set(one.name, asked);
    return asked;
  };

  return {
    ask,
    setOpen: (next: boolean): void => {
      if (next === isOpen) return;
      isOpen = next;
      if (isOpen) {
        open();
        cache.askAll();
      } else [opened, open] = createSignal();
    },
    startAfresh: (): void => {
      era += 1;
    },
  };
}

export function createRequests(options: RequestsOptions): Requests {
  const { cache, transport, clock } = options;
  const { ask, setOpen, startAfresh } = createAsker(options);
  const since = () => ({ min_sequence: cache.cursor || undefined });
  return {
    fetchQuery: (key) =>
      ask({
        name: `query ${key.text}`,
        note: (problem) => cache.noteQuery(key, problem),
        send: () =>
          transport.json(`query/${key.name}`, {
            body: { input: toWireNames(key.input) },
            query: since(),
          }),
        apply: (body) => cache.putAnswer(key, toAnswer(body), clock.now()),
      }),
    fetchRecord: (ref) => {
      let asked = 0;
      return ask({
        name: `record ${ref.type}:${ref.id}`,
        note: (problem) =>
          problem?.code === "not_found"
            ? cache.putMissing(ref, asked)
            : cache.noteRecord(ref, problem),
        send: () => {
          asked = cache.cursor;
          return transport.json(`resources/${ref.type}/${ref.id}`, { query: since() });
        },
        apply: (body) => {
          const record = toRecord(body);
          if (record === null) throw new Error("The answer is no record.");
          cache.putRecords([{ type: ref.type, record }], asked);
        },
      });
    },
    setOpen,
    startAfresh,
  };
}
