import type { Child } from "../child.ts";
import { openLoad, openNaive, openService, openSharedBytes, warmUp } from "../contenders.ts";
import type { Contender } from "../contenders.ts";
import { atMost, interleave, toFigure, type Figure, type Settings } from "../figure.ts";
import type { LoadCalls } from "../load.ts";
import { readCpuMs, readResidentBytes } from "../machine.ts";

/** Twenty commits a second for two seconds. */
const WRITES = { count: 40, perSecond: 20, descriptionBytes: 75 };

interface Round {
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

interface Audience {
  readonly run: () => Promise<Round>;
  /** What a subscriber added to the server's memory, once it has served. */
  readonly residentKib: () => Promise<number>;
}

async function gather(
  { target, pid }: Contender,
  load: Child<LoadCalls>,
  count: number,
): Promise<Audience> {
  const before = await readResidentBytes(pid);
  await load.call("subscribe", { target, count, isReading: true });
  return {
    run: async () => {
      const cpuBefore = await readCpuMs(pid);
      const delivery = await load.call("write", { target, ...WRITES, expectedPerEvent: count });
      const cpuMs = (await readCpuMs(pid)) - cpuBefore;
      const { deliveryCount, p50Ms, p95Ms } = delivery;
      return { cpuMs: (cpuMs / deliveryCount) * 1_000, p50Ms, p95Ms };
    },
    residentKib: async () => ((await readResidentBytes(pid)) - before) / 1_024 / count,
  };
}

/** The bytes of one event on the wire, so that the bound sends as many. */
async function readFrameBytes({ target }: Contender): Promise<number> {
  await using load = openLoad();
  await load.call("subscribe", { target, count: 1, isReading: true });
  const options = { ...WRITES, perSecond: 1_000, expectedPerEvent: 1 };
  return Math.round((await load.call("write", { target, ...options })).frameBytes);
}

/** One writer and many subscribers that read. */
export async function measureFanOut({ rounds, subscriberCount }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  const frameBytes = await readFrameBytes(service);
  await using bound = await openSharedBytes(frameBytes, false);
  await using durable = await openSharedBytes(frameBytes, true);
  await using forService = openLoad();
  await using forNaive = openLoad();
  await using forBound = openLoad();
  await using forDurable = openLoad();
  await warmUp([service, naive, bound, durable]);
  const audiences = {
    service: await gather(service, forService, subscriberCount),
    bound: await gather(bound, forBound, subscriberCount),
    durable: await gather(durable, forDurable, subscriberCount),
    naive: await gather(naive, forNaive, subscriberCount),
  };
  const results = await interleave(rounds, {
    service: audiences.service.run,
    bound: audiences.bound.run,
    durable: audiences.durable.run,
    naive: audiences.naive.run,
  });
  const pick = (name: keyof typeof results, key: keyof Round) =>
    results[name].map((one) => one[key]);
  const to = `to ${subscriberCount.toLocaleString("en")} subscribers`;
  const cpu = {
    name: `CPU of 1,000 deliveries ${to}`,
    unit: "ms",
    values: pick("service", "cpuMs"),
  };
  const late = { name: `p95 ${to}`, unit: "ms", values: pick("service", "p95Ms") };
  const shared = "one shared chunk, nothing written";
  const committed = "driver commit, one shared chunk";
  return [
    toFigure({ ...cpu, bound: shared, boundValues: pick("bound", "cpuMs"), aim: atMost(1.3) }),
    toFigure({ ...cpu, bound: committed, boundValues: pick("durable", "cpuMs") }),
    toFigure({
      ...cpu,
      bound: "naive server",
      boundValues: pick("naive", "cpuMs"),
      aim: atMost(0.7),
    }),
    toFigure({ ...late, bound: shared, boundValues: pick("bound", "p95Ms"), aim: atMost(1.3) }),
    toFigure({ ...late, bound: committed, boundValues: pick("durable", "p95Ms") }),
    toFigure({ ...late, bound: "naive server", boundValues: pick("naive", "p95Ms") }),
    toFigure({
      name: "memory of a subscriber",
      unit: "KiB",
      values: [await audiences.service.residentKib()],
      bound: shared,
      boundValues: [await audiences.bound.residentKib()],
      aim: atMost(27, "value"),
    }),
  ];
}

/** Enough that what one subscriber is owed exceeds every buffer on the way. */
const LARGE = { count: 200, perSecond: 100, descriptionBytes: 8_192 };

async function measureMemory(isReading: boolean, count: number): Promise<number> {
  await using service = await openService();
  await using load = openLoad();
  const { target, pid } = service;
  // The writes alone make the heap grow: they come once before, so that only subscribers are counted.
  await load.call("subscribe", { target, count: 1, isReading: true });
  await load.call("write", { target, ...LARGE, expectedPerEvent: 1 });
  await load.call("unsubscribe", null);
  const before = await readResidentBytes(pid);
  await load.call("subscribe", { target, count, isReading });
  await load.call("write", { target, ...LARGE, expectedPerEvent: isReading ? count : 0 });
  return ((await readResidentBytes(pid)) - before) / 1_024 / count;
}

/** Subscribers that never read, against as many that do, while 200 events of 8 KiB are sent. */
export async function measureNeverReaders({ subscriberCount }: Settings): Promise<Figure[]> {
  const reading = await measureMemory(true, subscriberCount);
  const never = await measureMemory(false, subscriberCount);
  return [
    toFigure({
      name: `memory of one of ${subscriberCount.toLocaleString("en")} that never read`,
      unit: "KiB",
      values: [never],
      bound: "one that reads",
      boundValues: [reading],
      // As much, but for what two measurements of memory differ by anyway.
      aim: atMost(1.1),
    }),
  ];
}
