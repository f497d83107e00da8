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

/** Signatures are made on other threads; the simulation must wait for them before time moves. */
function countSignatures(): { readonly outstanding: () => number } {
  let outstanding = 0;
  const subtle = crypto.subtle as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ["sign", "verify", "importKey", "digest"]) {
    const original = subtle[name]?.bind(crypto.subtle);
    if (original === undefined) continue;
    subtle[name] = async (...args) => {
      outstanding += 1;
      try {
        return await original(...args);
      } finally {
        outstanding -= 1;
      }
    };
  }
  return { outstanding: () => outstanding };
}
const signatures = countSignatures();

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
      if (activity !== before || signatures.outstanding() > 0) quiet = -1;
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
