import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Cache } from "./cache.ts";
import type { QueryKey } from "./query-key.ts";
import type { RecordRef } from "./record.ts";
import { toError } from "./transport.ts";
import type { ClientProblem, JsonReply, Transport } from "./transport.ts";
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
 * that what changes while an answer travels is heard; equal questions share one request.
 */
export interface Requests {
  fetchQuery(key: QueryKey): Promise<void>;
  fetchRecord(ref: RecordRef): Promise<void>;
  /** Whether the service may be asked. What waits goes out when it may. */
  setOpen(isOpen: boolean): void;
  /** The base began afresh: answers under way speak of another one. */
  startAfresh(): void;
}

type Apply = (body: Readonly<Record<string, unknown>>) => void;

interface Ask {
  readonly send: () => Promise<JsonReply>;
  readonly apply: Apply;
  readonly fail: (problem: ClientProblem) => void;
}

export function createRequests(options: RequestsOptions): Requests {
  const { cache, transport, clock, random } = options;
  const underWay = new Map<string, Promise<void>>();
  const failed = new Map<string, () => Promise<void>>();
  let era = 0;
  let isOpen = false;
  let opened = Promise.withResolvers<void>();

  const attempt = async ({ send, apply, fail }: Ask, onAnswered: () => void): Promise<void> => {
    for (let count = 1; ; count += 1) {
      await opened.promise;
      const mine = era;
      const reply = await send();
      if (mine !== era) continue;
      let problem: ClientProblem;
      // An answer may turn out too old while it is taken, and is then asked for again at once.
      if (reply.isOk) onAnswered();
      if (reply.isOk) {
        try {
          return apply(reply.body);
        } catch (error) {
          problem = { code: "unreadable", status: 0, detail: String(error), retry: "never" };
        }
      } else problem = reply.problem;
      if (problem.retry === "never" || count >= attemptsMax) {
        onAnswered();
        fail(problem);
        throw toError(problem);
      }
      await clock.sleep(Math.max(problem.retryAfterMs ?? 0, backoffMs(count - 1, random())));
    }
  };

  const ask = (name: string, again: () => Promise<void>, how: Ask): Promise<void> => {
    const known = underWay.get(name);
    if (known !== undefined) return known;
    failed.delete(name);
    const asked = attempt(how, () => underWay.delete(name));
    underWay.set(name, asked);
    // Readers see the failure in their snapshot; it is asked again when the connection comes back.
    asked.catch(() => failed.set(name, again));
    return asked;
  };
  const since = () => ({ min_sequence: cache.cursor > 0 ? cache.cursor : undefined });

  const fetchQuery = (key: QueryKey): Promise<void> => {
    cache.beginFetch(key);
    return ask(`query ${key.text}`, () => fetchQuery(key), {
      send: () =>
        transport.json(`query/${key.name}`, {
          body: { input: toWireNames(key.input) },
          query: since(),
        }),
      apply: (body) => cache.putAnswer(key, toAnswer(body), clock.now()),
      fail: (problem) => cache.failQuery(key, problem),
    });
  };
  const fetchRecord = (ref: RecordRef): Promise<void> => {
    let asked = 0;
    return ask(`record ${ref.type}:${ref.id}`, () => fetchRecord(ref), {
      send: () => {
        asked = Math.max(cache.cursor, 0);
        return transport.json(`resources/${ref.type}/${ref.id}`, { query: since() });
      },
      apply: (body) => {
        const record = toRecord(body);
        if (record === null) throw new Error("The answer is no record.");
        cache.putRecords([{ type: ref.type, record }], asked);
      },
      fail: (problem) => {
        if (problem.code === "not_found") cache.putMissing(ref, asked);
      },
    });
  };

  return {
    fetchQuery,
    fetchRecord,
    setOpen: (next) => {
      if (next === isOpen) return;
      isOpen = next;
      if (!isOpen) {
        opened = Promise.withResolvers();
        return;
      }
      opened.resolve();
      const again = [...failed.values()];
      failed.clear();
      for (const one of again) one().catch(() => {});
    },
    startAfresh: () => {
      era += 1;
    },
  };
}
