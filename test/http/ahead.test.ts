/**
 * Found by the real-process suite (`bun run jepsen --variant sqld --seed 878270`). The server was
 * killed after a commit and before its answer, so for a while the log ended at 1310 and the leader
 * believed in 1306. A follower had pulled up to 1310 meanwhile, was told `history_changed` for its next
 * question, and stood still until a person came; a client would have thrown its cache away. Now the
 * database is asked before a cursor is called one of another history.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readFrames } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

test("I6, I7: a cursor that only the database has reached yet is of this history, one beyond is not", async () => {
  await using world = await createWorld();
  await world.insertAlbum("a");
  await world.insertAlbum("answer lost");
  world.library.state.head = 1;
  const log = (after: number) => world.send("GET", `${world.at}/log?after=${after}`);
  expect((await log(1)).body).toMatchObject({ head: 2, next_after: 2, has_more: false });
  expect((await log(2)).body).toMatchObject({ entries: [], head: 2, next_after: 2 });
  expect([(await log(3)).status, (await log(3)).body.code]).toEqual([410, "history_changed"]);
  // A follower tells the leader what it has; this made it stop as well.
  const acknowledge = (sequence: number) =>
    world.send("POST", `${world.at}/positions`, { device_id: createId(), sequence, epoch: 1 });
  expect((await acknowledge(2)).status).toBe(200);
  expect((await acknowledge(3)).status).toBe(410);
  const second = async (after: number) => {
    const response = await world.app.request(`${world.at}/events?encoding=json&after=${after}`, {
      headers: { authorization: `Bearer ${world.token}` },
    });
    world.library.announce("LogMessage", { message: "not told to reset" });
    const frames: (string | null)[] = [];
    for await (const { event } of readFrames(response)) {
      if (frames.push(event) === 2) break;
    }
    return frames;
  };
  expect(await second(2)).toEqual(["hello", "LogMessage"]);
  expect(await second(3)).toEqual(["hello", "reset"]);
});
