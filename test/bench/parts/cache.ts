import { createBare } from "../cache/bare.ts";
import { createOurs } from "../cache/ours.ts";
import { createTable } from "../cache/rows.ts";
import {
  measureGrowth,
  measureHeap,
  timeBatch,
  timeHydrate,
  timeOptimistic,
  timeUpdates,
} from "../cache/run.ts";
import { atMost, interleave, toFigure } from "../figure.ts";
import type { Contender } from "../cache/contender.ts";
import type { Aim, Figure, Settings } from "../figure.ts";

const bound = "bare Map, owners inline";

async function compare(
  figure: { readonly name: string; readonly unit: string; readonly aim?: Aim },
  settings: Settings,
  measure: (create: () => Contender) => Promise<number>,
): Promise<Figure[]> {
  const { ours, inline, sets } = await interleave(settings.rounds, {
    ours: () => measure(() => createOurs()),
    inline: () => measure(() => createBare(false)),
    sets: () => measure(() => createBare(true)),
  });
  const { aim: _, ...rest } = figure;
  return [
    toFigure({ ...figure, values: ours, bound, boundValues: inline }),
    toFigure({ ...rest, values: ours, bound: "bare Map, a Set a row", boundValues: sets }),
  ];
}

async function compareGrowth({ rounds }: Settings): Promise<Figure> {
  const { ours, inline } = await interleave(rounds, {
    ours: () => measureGrowth(() => createOurs({ records: 1_000_000, queries: 100_000 })),
    inline: () => measureGrowth(() => createBare(false)),
  });
  const name = "growth of one event's cost, 10 to 10,000 live queries";
  return toFigure({ name, unit: "×", values: ours, bound, boundValues: inline, aim: atMost(1.2) });
}

/** The client cache beside the least that any cache must do; 100 live queries of 100 rows. */
export async function measureCache(settings: Settings): Promise<Figure[]> {
  const table = createTable(100, 100);
  const event = { name: "one event, told and read again", unit: "µs", aim: atMost(3) };
  const [update, updateSets] = await compare(event, settings, (create) =>
    timeUpdates(create, table),
  );
  return [
    ...[update, updateSets].filter((figure) => figure !== undefined),
    await compareGrowth(settings),
    ...(await compare(
      { name: "hydrate 10,000 rows", unit: "ms", aim: atMost(3) },
      settings,
      timeHydrate,
    )),
    ...(await compare(
      { name: "a batch of 1,000 rows", unit: "ms", aim: atMost(3) },
      settings,
      (create) => timeBatch(create, table),
    )),
    ...(await compare(
      { name: "optimistic and back", unit: "µs", aim: atMost(4) },
      settings,
      (create) => timeOptimistic(create, table),
    )),
    ...(await compare(
      { name: "heap for a row", unit: "B", aim: atMost(1.2) },
      settings,
      measureHeap,
    )),
  ];
}
