import { createHash, createHmac } from "node:crypto";
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly owner: Owner;
  readonly run: () => void;
  readonly everyMs: number | null;
}

/** Who waits: a node that has crashed wakes for nothing; one that is paused wakes when it resumes. */
export interface Owner {
  state: "running" | "paused" | "dead";
  /** Milliseconds by which this owner's wall clock is wrong. */
  skewMs: number;
}

/** Time that passes only when the simulation says so. */
export interface VirtualTime {
  readonly now: number;
  clockOf(owner: Owner): Clock;
  /** Runs what is due within the next `ms`, in order, and lets its consequences settle. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until `work` has ended. */
  during<Result>(work: Promise<Result>): Promise<Result>;
  /** Lets everything that needs no time happen. */
  settle(): Promise<void>;
}

type Subtle = (...args: unknown[]) => Promise<unknown>;

/**
 * Signatures are made on other threads, which answer when they like. Here HMAC and digests are made at once, so
 * that the same seed gives the same order of events.
 */
function signAtOnce(): void {
  const subtle = crypto.subtle as unknown as Record<string, Subtle>;
  const secrets = new WeakMap<object, Uint8Array>();
  const keys = new Map<string, Promise<unknown>>();
  const importKey = subtle["importKey"]?.bind(crypto.subtle);
  const digest = (key: unknown, data: unknown): ArrayBuffer => {
    const secret = secrets.get(key as object);
    if (secret === undefined) throw new Error("The simulation signs with HMAC only.");
    const bytes = createHmac("sha256", secret)
      .update(data as Uint8Array)
      .digest();
    return new Uint8Array(bytes).buffer;
  };
  subtle["importKey"] = (...args) => {
    const name = JSON.stringify([...(args[1] as Uint8Array)]) + JSON.stringify(args[4]);
    const known = keys.get(name);
    if (known !== undefined) return known;
    const made = Promise.resolve(importKey?.(...args)).then((key) => {
      secrets.set(key as object, args[1] as Uint8Array);
      return key;
    });
    keys.set(name, made);
    return made;
  };
  subtle["digest"] = async (_, data) =>
    new Uint8Array(
      createHash("sha256")
        .update(data as Uint8Array)
        .digest(),
    ).buffer;
  subtle["sign"] = async (_, key, data) => digest(key, data);
  subtle["verify"] = async (_, key, signature, data) =>
    Buffer.from(digest(key, data)).equals(Buffer.from(signature as Uint8Array));
}
signAtOnce();

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createVirtualTime(startMs: number): VirtualTime {
  let now = startMs;
  let order = 0;
  let timers: Timer[] = [];
  let activity = 0;

  const add = (timer: Omit<Timer, "order">): Timer => {
    const whole = { ...timer, order: order++ };
    timers.push(whole);
    return whole;
  };
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 4; quiet += 1) {
      const before = activity;
      await turn();
      if (activity !== before) quiet = -1;
    }
  };
  const nextDue = (until: number): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.at > until || timer.owner.state === "paused") continue;
      const isSooner =
        first === undefined ||
        timer.at < first.at ||
        (timer.at === first.at && timer.order < first.order);
      if (isSooner) first = timer;
    }
    return first;
  };
  const advance = async (ms: number): Promise<void> => {
    const until = now + ms;
    await settle();
    for (let due = nextDue(until); due !== undefined; due = nextDue(until)) {
      timers = timers.filter((other) => other !== due);
      now = Math.max(now, due.at);
      if (due.owner.state !== "dead") due.run();
      await settle();
    }
    now = until;
  };
  return {
    get now() {
      return now;
    },
    clockOf: (owner) => ({
      now: () => now + owner.skewMs,
      monotonic: () => now,
      sleep: (ms) =>
        new Promise((resolve) => {
          add({ at: now + ms, owner, run: resolve, everyMs: null });
        }),
      every: (ms, run) => {
        let timer = add({ at: now + ms, owner, run: () => fire(), everyMs: ms });
        const fire = (): void => {
          timer = add({ at: now + ms, owner, run: () => fire(), everyMs: ms });
          run();
        };
        return () => {
          timers = timers.filter((other) => other !== timer);
        };
      },
      defer: (run) => {
        activity += 1;
        setImmediate(() => {
          if (owner.state === "dead") return;
          if (owner.state === "paused") add({ at: now, owner, run, everyMs: null });
          else run();
        });
      },
    }),
    settle,
    advance,
    during: async (work) => {
      const open = new Set([work]);
      const end = (): void => void open.delete(work);
      work.then(end, end);
      for (await settle(); open.size > 0;) await advance(10);
      return work;
    },
  };
}
