import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createPacedBody } from "../../src/http/paced.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";

test("a body whose making fails gives back what it held, once", async () => {
  let leftCount = 0;
  const body = createPacedBody(
    {
      next: () => Promise.reject(new Error("the disk is gone")),
      leave: () => (leftCount += 1),
    },
    { clock: systemClock, limits: defaultLimits },
  );
  await expect(new Response(body).text()).rejects.toThrow("the disk is gone");
  expect(leftCount).toBe(1);
});
