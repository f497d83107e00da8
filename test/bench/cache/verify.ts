import assert from "node:assert/strict";
import type { Contender, Row } from "./contender.ts";
import { createTable } from "./rows.ts";

const sizesOf = (rows: readonly unknown[]) => (rows as readonly Row[]).map(({ size }) => size);

/**
 * Whether a contender does the work that is measured: answers are whole and in order, a subscriber
 * hears of its own rows, and sees an optimistic one come and go.
 *
 * @throws AssertionError
 */
export async function verify(create: () => Contender): Promise<void> {
  const table = createTable(3, 4);
  const contender = create();
  contender.hydrate(table);
  const seen: number[][] = [[], [], []];
  for (const query of table.keys()) {
    contender.subscribe(query, () => {
      seen[query] = seen[query]!.concat(sizesOf(contender.read(query)));
    });
  }
  await Promise.resolve();
  const expected = table.map((rows) => sizesOf(rows));
  const check = (reason: string) => {
    for (const query of table.keys())
      assert.deepEqual(sizesOf(contender.read(query)), expected[query], reason);
  };
  const isTold = (query: number, size: number) => seen[query]!.includes(size);
  check("answers");

  await contender.update({ ...table[1]![2]!, size: 77, version: 2 });
  expected[1]![2] = 77;
  check("after an update");
  assert.ok(isTold(1, 77) && !isTold(0, 77), "told of an update");

  await contender.batch([0, 2].map((query) => ({ ...table[query]![0]!, size: 88, version: 3 })));
  expected[0]![0] = expected[2]![0] = 88;
  check("after a batch");
  assert.ok(isTold(0, 88) && isTold(2, 88), "told of a batch");

  await contender.optimistic({ ...table[1]![2]!, size: 99, version: 4 });
  check("after an optimistic row was taken back");
  assert.ok(isTold(1, 99), "an optimistic row was seen");
}
