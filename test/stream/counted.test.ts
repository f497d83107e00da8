import { expect, test } from "bun:test";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { readUntil } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

test("what subscribers were handed is counted, and how much of it came from the ring", async () => {
  const { telemetry, metrics } = openTelemetry({
    level: "error",
    isPretty: false,
    write: () => {},
  });
  await using world = await createWorld({ telemetry, metrics });
  const headers = { authorization: `Bearer ${world.token}` };
  const open = (after: number) =>
    world.app.request(`${world.at}/events?encoding=json&after=${after}`, { headers });
  const counted = async () => {
    const text = await (await world.app.request("/metrics", { headers })).text();
    const valueOf = (name: string) =>
      Number(new RegExp(`^syncline_${name}_total (\\d+)$`, "m").exec(text)?.[1]);
    return ["frames_delivered", "ring_reads", "log_reads"].map(valueOf);
  };
  const streams = await Promise.all([0, 0, 0].map(open));
  const all = streams.map((stream) => readUntil(stream, 5));
  while (world.library.hub.size < 3) await Bun.sleep(1);
  expect(await counted()).toEqual([0, 0, 0]);
  for (const name of ["a", "b", "c", "d", "e"]) await world.insertAlbum(name);
  for (const events of await Promise.all(all)) expect(events).toHaveLength(5);
  // Three readers at the head were handed each of five commits.
  expect(await counted()).toEqual([15, 15, 0]);

  // They have left, and the ring with them: who comes later reads a page of the log.
  while (world.library.hub.size > 0) await Bun.sleep(1);
  expect(await readUntil(await open(0), 5)).toHaveLength(5);
  expect(await counted()).toEqual([16, 15, 1]);
});
