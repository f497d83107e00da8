import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { openJobs } from "../../src/client/index.ts";
import { createClientWorld, until } from "../support/client-world.ts";

const tag = (name: string): string => `${JSON.stringify({ id: createId(), name })}\n`;

/** A client that hears of jobs, and a bulk of tags whose lines are sent as they are given. */
async function createScene() {
  const world = await createClientWorld({ limits: { bulkChunk: 2 } });
  const client = world.open();
  const jobs = openJobs(client);
  await until(client.status, ({ connection }) => connection === "live");
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const token = createId();
  const answered = world.direct(
    `http://service${world.at}/bulk?resource_type=tag&mode=insert&token=${token}`,
    {
      method: "POST",
      headers: { authorization: `Bearer ${world.token}`, "content-type": "application/x-ndjson" },
      body: readable,
    },
  );
  const send = (...lines: string[]) => writer.write(new TextEncoder().encode(lines.join("")));
  return { ...world, client, jobs, token, answered, send, end: () => writer.close() };
}

test("EVT-35: a job shows while it runs and when it is done, until it is dismissed", async () => {
  await using scene = await createScene();
  const { jobs, token } = scene;
  await scene.send(tag("a"), tag("b"), tag("c"));
  const [running] = await until(jobs, ({ length }) => length === 1);
  expect(running).toEqual({
    id: token,
    name: "bulk",
    status: "running",
    progress: null,
    message: "2 records",
  });
  jobs.dismiss(token);
  expect(jobs.getSnapshot()).toEqual([running] as never);
  await scene.end();
  const [done] = await until(jobs, ([job]) => job?.message === "3 records");
  expect(done).toMatchObject({ id: token, status: "complete", progress: 1 });
  jobs.dismiss(token);
  expect(jobs.getSnapshot()).toEqual([]);
});

test("EVT-35: a bulk that a bad record stopped does not run for ever", async () => {
  await using scene = await createScene();
  await scene.send(tag("a"), tag("b"), tag("c"), '{"id":"no"}\n');
  await until(scene.jobs, ([job]) => job?.status === "interrupted" && job.message === "3 records");
  expect((await scene.answered).status).toBe(422);
});

test("EVT-35: whoever missed a job's last word learns of its end from the log", async () => {
  await using scene = await createScene();
  const { client, jobs } = scene;
  await scene.send(tag("a"), tag("b"));
  await until(jobs, ([job]) => job?.status === "running");
  client.setOffline(true);
  await scene.end();
  expect((await scene.answered).status).toBe(200);
  client.setOffline(false);
  const [done] = await until(jobs, ([job]) => job?.status !== "running");
  expect(done).toMatchObject({ status: "complete", progress: 1, message: "2 records" });
});
