import { openLoad, openNaive, openService, warmUp } from "../contenders.ts";
import type { Contender } from "../contenders.ts";
import { atMost, interleave, toFigure, type Figure, type Settings } from "../figure.ts";

const WRITES = { count: 100, perSecond: 100, descriptionBytes: 75, expectedPerEvent: 1 };

/** From sending a commit to its event at one subscriber. */
export async function measureLatency({ rounds }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  await using forService = openLoad();
  await using forNaive = openLoad();
  await warmUp([service, naive]);
  const subscribe = async ({ target }: Contender, load: typeof forService) => {
    await load.call("subscribe", { target, count: 1, isReading: true });
    return () => load.call("write", { target, ...WRITES });
  };
  const deliveries = await interleave(rounds, {
    service: await subscribe(service, forService),
    naive: await subscribe(naive, forNaive),
  });
  const compare = (name: string, key: "p50Ms" | "p95Ms") => ({
    name: `write to subscriber, ${name}`,
    unit: "ms",
    values: deliveries.service.map((one) => one[key]),
    bound: "naive server",
    boundValues: deliveries.naive.map((one) => one[key]),
  });
  return [
    toFigure({ ...compare("p50", "p50Ms"), aim: atMost(1.2) }),
    toFigure(compare("p95", "p95Ms")),
  ];
}
