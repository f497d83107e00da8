/** A follower whose token may still read its library, and write it no longer. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createPair } from "../support/pair.ts";
import { tokenFor } from "../support/world.ts";

const album = (name: string) => ({
  resource_type: "album",
  operation: "insert",
  id: createId(),
  data: { name },
});

test("what waits is not refused for the follower's own token: it waits until that may write again", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const commit = (name: string, query = "?queue=1") =>
    phone.send("POST", `${pair.at}/commit${query}`, album(name));
  const reader = await tokenFor([{ library: pair.libraryId, role: "reader" }]);
  const { send } = pair.wire;
  const asReader: typeof send = (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${reader}`);
    return send(url, { ...init, headers });
  };
  pair.wire.send = asReader;
  const line = {
    mutations: ["a", "b"].map((name) => ({ mutation_id: createId(), commit: album(name) })),
  };
  pair.cut(true);
  await phone.send("POST", `${pair.at}/mutations?queue=1`, line);
  pair.cut(false);
  // Those that wait go as a line, one alone by its own route, one that comes now behind them.
  expect(await follower.settle()).toBe("waiting");
  expect(await commit("c")).toMatchObject({ status: 202, body: { queued: true } });
  // Its caller's token is good: whoever runs the follower must look.
  expect(await commit("d", "")).toMatchObject({ status: 503, body: { code: "overloaded" } });
  const { body } = await phone.send("GET", `${pair.at}/follower`);
  expect([body.waiting_count, body.rejected_count]).toEqual([3, 0]);
  expect([body.state, body.reason]).toEqual([
    "waiting",
    expect.stringContaining("403: This needs the role writer"),
  ]);

  pair.wire.send = send;
  expect(await follower.settle()).toBe("live");
  const sql = "SELECT data->>'name' FROM sync_log ORDER BY sequence";
  const [rows = []] = await leader.library.database.read([{ sql, args: [] }]);
  expect(rows.map(([name]) => name)).toEqual(["a", "b", "c"]);

  // Nothing waits: the leader says so of this write itself.
  pair.wire.send = asReader;
  expect(await commit("e", "")).toMatchObject({ status: 503, body: { code: "overloaded" } });
  expect(await commit("f")).toMatchObject({ status: 202, body: { queued: true } });
  expect(await follower.settle()).toBe("waiting");
  pair.wire.send = send;
  expect(await follower.settle()).toBe("live");
  expect(leader.library.state.head).toBe(4);
});
