/** What a follower writes into the log of its node: where it has come to, and not each step on the way. */
import { expect, test } from "bun:test";
import { silentTelemetry } from "../../src/telemetry/telemetry.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { createPair } from "../support/pair.ts";

/** A pair, and what it logs of its follower at `info` and above. */
async function createHeard() {
  const lines: string[] = [];
  const telemetry: Telemetry = {
    ...silentTelemetry,
    log: (level, message) => {
      if (level !== "debug" && message.startsWith("The follower is ")) lines.push(message);
    },
  };
  const pair = await createPair({ telemetry });
  return { pair, lines, follower: await pair.follow() };
}

const backfilled = ["The follower is backfilling.", "The follower is live."];

test("a follower that applies change after change is told of once", async () => {
  const { pair, lines, follower } = await createHeard();
  await using _ = pair;
  for (const name of ["a", "b", "c"]) {
    await pair.leader.insertAlbum(name);
    expect(await follower.settle()).toBe("live");
  }
  expect(lines).toEqual(backfilled);
});

test("a leader that is away is told of once, and once when it is back", async () => {
  const { pair, lines, follower } = await createHeard();
  await using _ = pair;
  await follower.settle();
  pair.cut(true);
  for (let looked = 0; looked < 3; looked += 1) expect(await follower.settle()).toBe("waiting");
  pair.cut(false);
  expect(await follower.settle()).toBe("live");
  expect(lines).toEqual([...backfilled, "The follower is waiting.", "The follower is live."]);
});

test("a follower that is refused says so once, however often it looks again", async () => {
  const { pair, lines, follower } = await createHeard();
  await using _ = pair;
  await follower.settle();
  pair.wire.send = () => Response.json({ code: "unauthorized", status: 401 }, { status: 401 });
  for (let looked = 0; looked < 3; looked += 1) expect(await follower.settle()).toBe("refused");
  expect(lines).toEqual([...backfilled, "The follower is refused."]);
});
