import { openNaive, openService, post } from "../contenders.ts";
import type { Contender } from "../contenders.ts";
import { atMost, interleave, toFigure, type Figure, type Settings } from "../figure.ts";
import { readResidentBytes } from "../machine.ts";
import { createUuid } from "../records.ts";

const SETTLE_MS = 1_000;

/** From nothing to the first acknowledged commit of a new library, and what then lies in memory. */
export async function measureStart({ rounds }: Settings): Promise<Figure[]> {
  const run = (open: () => Promise<Contender>) => async () => {
    const started = performance.now();
    await using contender = await open();
    const { target, pid } = contender;
    await post(target, `/v1/libraries/${target.library}/commit`, {
      resource_type: "album",
      operation: "insert",
      id: createUuid(),
      data: { name: "Iceland", description: "The first." },
    });
    const elapsedMs = performance.now() - started;
    await Bun.sleep(SETTLE_MS);
    return { elapsedMs, residentMb: (await readResidentBytes(pid)) / 1e6 };
  };
  const starts = await interleave(rounds, { service: run(openService), naive: run(openNaive) });
  const compare = (key: "elapsedMs" | "residentMb") => ({
    values: starts.service.map((one) => one[key]),
    bound: "naive server",
    boundValues: starts.naive.map((one) => one[key]),
  });
  return [
    toFigure({
      name: "start to first commit",
      unit: "ms",
      ...compare("elapsedMs"),
      aim: atMost(500, "value"),
    }),
    toFigure({
      name: "memory when idle",
      unit: "MB",
      ...compare("residentMb"),
      aim: atMost(100, "value"),
    }),
  ];
}
