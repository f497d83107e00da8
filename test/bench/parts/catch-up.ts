import { openLoad, openNaive, openService } from "../contenders.ts";
import type { Contender } from "../contenders.ts";
import { atMost, interleave, toFigure, type Figure, type Settings } from "../figure.ts";

const MISSED = 10_000;

/** A subscriber comes back after 10,000 changes of 10,000 records. */
export async function measureCatchUp({ rounds }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  await using load = openLoad();
  const prepare = async ({ target }: Contender) => {
    const head = await load.call("fill", { target, count: MISSED });
    const after = head - MISSED;
    return async () => (await load.call("catchUp", { target, after, head })).seconds * 1_000;
  };
  const times = await interleave(rounds, {
    service: await prepare(service),
    naive: await prepare(naive),
  });
  const own = {
    name: "catch-up of 10,000 changes",
    unit: "ms",
    values: times.service,
    bound: "naive server",
    boundValues: times.naive,
  };
  return [toFigure({ ...own, aim: atMost(250, "value") }), toFigure({ ...own, aim: atMost(2.5) })];
}
