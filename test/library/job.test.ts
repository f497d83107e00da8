/** A merge as a job: cancelled, watched, and what is left of it when it has ended. */
import { expect, test } from "bun:test";
import type { WireEvent } from "../../src/stream/event.ts";
import { readFrames } from "../support/events.ts";
import { createPair, setupRequest, tokensKept } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

test("a merge that waits for the other service is cancelled: both libraries stay, the token is gone", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  await phone.insertAlbum("a");
  const { send } = pair.wire;
  const reached = Promise.withResolvers<void>();
  pair.wire.send = async (url, init) => {
    if (!url.endsWith("/merge")) return send(url, init);
    reached.resolve();
    throw new TypeError("The network is down.");
  };
  const begun = await phone.send(
    "POST",
    "/v1/sync-setup",
    setupRequest(pair, "MergeIntoRemote", "node"),
  );
  await reached.promise;
  expect(await tokensKept(phone)).toBe(1);
  const job = `/v1/jobs/${begun.body.job_id}`;
  expect(await phone.send("DELETE", job)).toMatchObject({
    status: 200,
    body: { status: "failed", message: "Cancelled." },
  });
  expect(await tokensKept(phone)).toBe(0);
  expect((await phone.send("GET", job)).body.status).toBe("failed");
  expect((await phone.insertAlbum("b")).status).toBe(200);
  expect(await names(phone, phone.at)).toEqual(["a", "b"]);
  // What has ended is not cancelled again, and stays as it ended.
  expect((await phone.send("DELETE", job)).body.message).toBe("Cancelled.");
});

test("a cancel that comes when the other library has ended is too late: the merge completes", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const { send } = pair.wire;
  const [ended, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    if (!url.endsWith("/hand-over")) return answer;
    ended.resolve();
    await answered.promise;
    return answer;
  };
  const body = setupRequest(pair, "MergeIntoLocal", "phone");
  const begun = await phone.send("POST", "/v1/sync-setup", body);
  await ended.promise;
  const cancelled = phone.send("DELETE", `/v1/jobs/${begun.body.job_id}`);
  answered.resolve();
  expect((await cancelled).body.status).toBe("complete");
  expect(await names(phone, phone.at)).toEqual(["a"]);
  expect(await tokensKept(phone)).toBe(0);
});

test("a subscriber sees a merge go on: Job events without a sequence, the last one complete", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  for (const name of ["a", "b"]) await leader.insertAlbum(name);
  const stream = await phone.app.request(`${phone.at}/events?encoding=json`, {
    headers: { authorization: `Bearer ${phone.token}` },
  });
  const { body } = await phone.send(
    "POST",
    "/v1/sync-setup",
    setupRequest(pair, "MergeIntoLocal", "phone"),
  );
  const seen: WireEvent[] = [];
  for await (const { event, id, data } of readFrames(stream)) {
    if (event !== "Job") continue;
    expect(id).toBeNull();
    seen.push(JSON.parse(data ?? "") as WireEvent);
    if (seen.at(-1)?.kind.data["status"] !== "running") break;
  }
  const facts = seen.map(({ kind }) => kind.data);
  expect(new Set(facts.map(({ job_id, name }) => `${String(name)} ${String(job_id)}`))).toEqual(
    new Set([`merge ${body.job_id}`]),
  );
  expect(facts.length).toBeGreaterThan(2);
  expect(facts[0]).toMatchObject({ status: "running", progress: 0 });
  expect(facts.at(-1)).toMatchObject({ status: "complete", progress: 2 });
});

test("a job is one node's: another leaves it alone when it starts, and may cancel it", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const { send } = pair.wire;
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  pair.wire.send = async (url, init) => {
    if (!/snapshot/.test(url)) return send(url, init);
    reached.resolve();
    await opened.promise;
    return send(url, init);
  };
  const begun = await phone.send(
    "POST",
    "/v1/sync-setup",
    setupRequest(pair, "MergeIntoLocal", "phone"),
  );
  await reached.promise;
  const job = `/v1/jobs/${begun.body.job_id}`;
  const asked: string[] = [];
  await using other = await createWorld({
    deviceId: "second",
    directory: phone.directory,
    fetch: async (url) => {
      asked.push(url);
      throw new TypeError("The network is down.");
    },
  });
  expect((await other.send("GET", job)).body.status).toBe("running");
  expect((await other.send("DELETE", job)).body.message).toBe("Cancelled.");
  expect([await tokensKept(phone), asked]).toEqual([0, []]);
  opened.resolve();
  await phone.service.setup.settled();
  // The node that ran it has learned of it, and ended neither library.
  expect((await phone.send("GET", job)).body).toMatchObject({ status: "failed", progress: 0 });
  expect(await tokensKept(phone)).toBe(0);
  expect((await leader.insertAlbum("b")).status).toBe(200);
});
