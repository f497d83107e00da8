import {
  openLoad,
  openNaive,
  openRaw,
  openService,
  openSharedBytes,
  warmUp,
} from "../contenders.ts";
import { atLeast, interleave, toFigure, type Figure, type Settings } from "../figure.ts";
import type { Target } from "../socket.ts";

const DURATION_MS = 1_000;
/** What the plain servers publish to nobody. */
const FRAME_BYTES = 400;

/** Commits of one album a request, by 1 and by 32 clients that each wait for their answer. */
export async function measureCommits({ rounds }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  await using raw = await openRaw();
  await using plain = await openSharedBytes(FRAME_BYTES, false);
  await using durable = await openSharedBytes(FRAME_BYTES, true);
  await using load = openLoad();
  await warmUp([service, naive, plain, durable]);
  const http = (target: Target, clientCount: number) => async () =>
    (await load.call("runCommits", { target, clientCount, durationMs: DURATION_MS })).perSecond;
  const driver = (callerCount: number, groupSize: number) => () =>
    raw.call("runCommits", { callerCount, groupSize, durationMs: DURATION_MS });
  const rates = await interleave(rounds, {
    one: http(service.target, 1),
    rawOne: driver(1, 1),
    naiveOne: http(naive.target, 1),
    durableOne: http(durable.target, 1),
    many: http(service.target, 32),
    rawMany: driver(32, 1),
    rawGrouped: driver(1, 32),
    naiveMany: http(naive.target, 32),
    plainMany: http(plain.target, 32),
  });
  const unit = "commits/s";
  const one = { name: "1 client", unit, values: rates.one };
  const many = { name: "32 clients", unit, values: rates.many };
  return [
    toFigure({
      ...one,
      bound: "driver, one batch a commit",
      boundValues: rates.rawOne,
      aim: atLeast(0.8),
    }),
    toFigure({
      ...one,
      bound: "plain server, one driver batch a request",
      boundValues: rates.durableOne,
    }),
    toFigure({ ...one, bound: "naive server", boundValues: rates.naiveOne }),
    toFigure({
      ...many,
      bound: "driver, 32 concurrent batches",
      boundValues: rates.rawMany,
      aim: atLeast(5),
    }),
    toFigure({
      ...many,
      bound: "driver, 32 commits a batch",
      boundValues: rates.rawGrouped,
      aim: atLeast(0.5),
    }),
    toFigure({
      ...many,
      bound: "plain server, nothing written",
      boundValues: rates.plainMany,
    }),
    toFigure({ ...many, bound: "naive server", boundValues: rates.naiveMany, aim: atLeast(3) }),
  ];
}
