import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";

test("a sleep of a month, which a Retry-After may ask for, does not end at once", async () => {
  const sleep = (ms: number) => systemClock.sleep(ms);
  for (const ms of [31 * 24 * 3_600_000, Infinity]) {
    const first = Promise.race([sleep(ms).then(() => "long"), sleep(20).then(() => "short")]);
    expect(await first).toBe("short");
  }
});
