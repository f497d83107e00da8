import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import type { WireEvent } from "../../src/stream/event.ts";
import { readFrames } from "../support/events.ts";
import { createPair } from "../support/pair.ts";

test("who listens at a replica is told how far a bulk is that its leader writes", async () => {
  await using pair = await createPair({ limits: { bulkChunk: 2 } });
  const { leader, phone } = pair;
  const follower = await pair.follow();
  await follower.settle();
  void follower.run();
  while (leader.library.hub.size === 0) await Bun.sleep(1);
  const stream = await phone.app.request(`${pair.at}/events?encoding=json`, {
    headers: { authorization: `Bearer ${phone.token}` },
  });
  const lines = Array.from({ length: 7 }, (_, at) => ({ id: createId(), name: `tag ${at}` }));
  const token = createId();
  const sent = phone.app.request(`${pair.at}/bulk?resource_type=tag&mode=insert&token=${token}`, {
    method: "POST",
    headers: { authorization: `Bearer ${phone.token}`, "content-type": "application/x-ndjson" },
    body: lines.map((line) => JSON.stringify(line)).join("\n"),
  });
  const jobs: WireEvent[] = [];
  for await (const { event, id, data } of readFrames(stream)) {
    if (event !== "Job") continue;
    expect(id).toBeNull();
    jobs.push(JSON.parse(data ?? "") as WireEvent);
    if (jobs.at(-1)?.kind.data["status"] === "complete") break;
  }
  expect((await sent).status).toBe(200);
  expect(jobs.map(({ kind }) => kind.data)).toMatchObject([
    { job_id: token, name: "bulk", status: "running" },
    { job_id: token, status: "complete", progress: 1, message: "7 records" },
  ]);
  await follower.stop();
});

test("what comes back to a replica in a circle is not passed on again", async () => {
  await using pair = await createPair();
  const { leader, phone, wire } = pair;
  const follower = await pair.follow();
  await follower.settle();
  // Its leader's stream is its own: so is that of a leader which follows it.
  wire.send = async (url, init) =>
    (url.includes("/events") ? phone : leader).app.request(url, init);
  const replica = await pair.replica();
  const stream = await phone.app.request(`${pair.at}/events?encoding=json`, {
    headers: { authorization: `Bearer ${phone.token}` },
  });
  void follower.run();
  while (replica.hub.size < 2) await Bun.sleep(1);
  const seen: unknown[] = [];
  replica.announce("Job", { job_id: "first" });
  for await (const { event, data } of readFrames(stream)) {
    if (event !== "Job") continue;
    seen.push((JSON.parse(data ?? "") as WireEvent).kind.data["job_id"]);
    if (seen.length === 2) replica.announce("Job", { job_id: "second" });
    if (seen.filter((id) => id === "second").length === 2) break;
  }
  expect(seen).toEqual(["first", "first", "second", "second"]);
  await follower.stop();
});
