import { openLoad, openNaive, openRaw, openService, post } from "../contenders.ts";
import type { Contender } from "../contenders.ts";
import { createUuid } from "../records.ts";
import { atLeast, interleave, toFigure, type Figure, type Settings } from "../figure.ts";

const BATCH_SIZE = 1_000;
const BATCHES = 20;

/** Batches of 1,000 albums, one after the other. */
export async function measureBatch({ rounds }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  await using load = openLoad();
  const run =
    ({ target }: Contender) =>
    async () => {
      const rate = await load.call("runBatches", { target, count: BATCHES, size: BATCH_SIZE });
      return rate.perSecond * BATCH_SIZE;
    };
  const rates = await interleave(rounds, { service: run(service), naive: run(naive) });
  return [
    toFigure({
      name: "batch of 1,000",
      unit: "records/s",
      values: rates.service,
      bound: "naive server",
      boundValues: rates.naive,
      aim: atLeast(40_000, "value"),
    }),
  ];
}

/** One bulk of files, streamed as NDJSON; the tables grow from round to round on every side. */
export async function measureBulk({ rounds, bulkCount }: Settings): Promise<Figure[]> {
  await using service = await openService();
  await using naive = await openNaive();
  await using raw = await openRaw();
  await using load = openLoad();
  const locationId = createUuid();
  await post(service.target, `/v1/libraries/${service.target.library}/commit`, {
    resource_type: "location",
    operation: "insert",
    id: locationId,
    data: { device_id: locationId, name: "Photos" },
  });
  const run =
    ({ target }: Contender) =>
    async () => {
      const { seconds } = await load.call("runBulk", { target, count: bulkCount, locationId });
      return bulkCount / seconds;
    };
  const rates = await interleave(rounds, {
    service: run(service),
    raw: () => raw.call("runBulk", { count: bulkCount, chunkSize: 2_000 }),
    naive: run(naive),
  });
  const own = {
    name: `bulk of ${bulkCount.toLocaleString("en")}`,
    unit: "records/s",
    values: rates.service,
  };
  return [
    toFigure({
      ...own,
      bound: "driver, json_each of 2,000",
      boundValues: rates.raw,
      aim: atLeast(0.5),
    }),
    toFigure({ ...own, bound: "naive server", boundValues: rates.naive, aim: atLeast(1.5) }),
  ];
}
