/** A leader that takes requests and says nothing, or not all of it, while its copy is promoted or sends what waits. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import { createOutbox } from "../../src/follower/outbox.ts";
import { createPair } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";

const insert = ({ phone, at }: Pair, name: string, query = "") =>
  phone.send("POST", `${at}/commit${query}`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name },
  });

/** From now on the leader answers nothing; resolves to the paths it was asked for. */
function hang({ wire }: Pair, what = /./): string[] {
  const asked: string[] = [];
  const { send } = wire;
  wire.send = (url, init) => {
    if (!what.test(url)) return send(url, init);
    asked.push(new URL(url).pathname.split("/").at(-1) ?? "");
    return new Promise((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(new TypeError("Aborted.")));
    });
  };
  return asked;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await Bun.sleep(1);
}

test("a promotion waits for nothing that a leader that hangs was asked for, and neither does who writes", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const asked = hang(pair);
  const write = insert(pair, "sent");
  const running = follower.run();
  follower.wake();
  await until(() => ["commit", "log", "events"].every((name) => asked.includes(name)));
  const { status, body } = await phone.send("POST", `${pair.at}/leader/promote`);
  expect([status, body.is_self]).toEqual([200, true]);
  expect(await write).toMatchObject({ status: 503, body: { code: "overloaded" } });
  await running;
  expect(await insert(pair, "own")).toMatchObject({ status: 200, body: { sequence: 1 } });
});

test("a copy is turned from a leader that hangs to another address in the middle of its snapshot", async () => {
  await using pair = await createPair();
  const { phone, leader, libraryId } = pair;
  await leader.insertAlbum("a");
  const follower = await pair.follow();
  const asked = hang(pair, /leader.*snapshot/);
  const running = follower.run();
  await until(() => asked.length > 0);
  const request = { library_id: libraryId, url: "http://elsewhere", token: leader.token };
  const { status, body } = await phone.send("POST", "/v1/following", request);
  expect([status, body.leader_url]).toEqual([201, "http://elsewhere"]);
  await running;
  expect(await phone.service.following.find(libraryId)?.settle()).toBe("live");
});

test("I5: a write that the leader took, and whose answer broke off, is sent again and kept until it is back", async () => {
  await using pair = await createPair();
  const { leader, wire } = pair;
  const follower = await pair.follow();
  await follower.settle();
  const { send } = wire;
  const cuts = ["broken", "null", "whole"];
  wire.send = async (url, init) => {
    const answer = await send(url, init);
    const cut = url.endsWith("/commit") ? cuts.shift() : undefined;
    if (cut === undefined || cut === "whole") return answer;
    const text = await answer.text();
    return new Response(cut === "null" ? "null" : text.slice(0, -10), { status: answer.status });
  };
  pair.cut(true);
  expect((await insert(pair, "taken", "?queue=1")).status).toBe(202);
  pair.cut(false);
  for (const left of [2, 1]) {
    await expect(follower.outbox.drain()).rejects.toMatchObject({ code: "overloaded" });
    expect([cuts.length, await follower.outbox.list()]).toMatchObject([left, { waitingCount: 1 }]);
  }
  expect(await follower.outbox.drain()).toBe(1);
  expect(leader.library.state.head).toBe(1);
  // The leader is gone for good, with what it took.
  pair.cut(true);
  await pair.phone.send("POST", `${pair.at}/leader/promote`);
  const { body } = await pair.phone.send("GET", `${pair.at}/resources/album`);
  expect(body.resources).toMatchObject([{ name: "taken" }]);
});

test("a leader whose answers always break off holds up one write for a while, and none behind it for ever", async () => {
  await using pair = await createPair();
  const follower = await pair.follow();
  await follower.settle();
  pair.cut(true);
  for (const name of ["a", "b"]) expect((await insert(pair, name, "?queue=1")).status).toBe(202);
  pair.cut(false);
  const { send } = pair.wire;
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    return new Response((await answer.text()).slice(0, -10), { status: answer.status });
  };
  let now = 0;
  const outbox = createOutbox({
    database: async () => (await pair.replica()).database,
    upstream: follower.upstream,
    clock: { ...systemClock, monotonic: () => (now += 1_000) },
  });
  let drains = 0;
  const drain = () =>
    outbox.drain().then(
      () => true,
      () => false,
    );
  while (!(await drain()) && drains < 20) drains += 1;
  expect(drains).toBeLessThan(20);
  expect(await outbox.list()).toMatchObject({
    waitingCount: 0,
    rejected: [{ problem: { code: "internal" } }, { problem: { code: "internal" } }],
  });
});

test("no answer of the leader is left half-read, which would keep its connection", async () => {
  await using pair = await createPair();
  const { wire, leader } = pair;
  const { send } = wire;
  const open = new Set<string>();
  wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (answer.body === null) return answer;
    const name = `${init?.method ?? "GET"} ${url} ${answer.status}`;
    open.add(name);
    const reader = answer.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        open.delete(name);
        controller.close();
      },
      cancel: async () => {
        open.delete(name);
        await reader.cancel();
      },
    });
    return new Response(body, answer);
  };
  await leader.insertAlbum("a");
  const follower = await pair.follow();
  expect(await follower.settle()).toBe("live");
  pair.cut(true);
  for (const name of ["", "good"]) expect((await insert(pair, name, "?queue=1")).status).toBe(202);
  pair.cut(false);
  expect(await follower.settle()).toBe("live");
  expect([...open]).toEqual([]);
});
