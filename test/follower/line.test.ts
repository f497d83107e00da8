/** Lines of mutations on a replica: handed on, left to wait, and what waits sent as lines. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { readWaiting } from "../../src/follower/outbox.ts";
import { SyncError, toProblem } from "../../src/protocol/errors.ts";
import { createPair, recordsOf } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import { tokenFor } from "../support/world.ts";

const album = (name: string, id: string = createId()) => ({
  resource_type: "album",
  operation: "upsert",
  id,
  data: { name },
});
const lineOf = (works: readonly object[]) => ({
  mutations: works.map((work) => ({ mutation_id: createId(), ...work })),
});
const named = (...names: string[]) => lineOf(names.map((name) => ({ commit: album(name) })));

async function namesAt({ leader }: Pair): Promise<unknown[]> {
  const sql = "SELECT data->>'name' FROM sync_log ORDER BY sequence";
  const [rows = []] = await leader.library.database.read([{ sql, args: [] }]);
  return rows.map(([name]) => name);
}

async function followed(pair: Pair) {
  const follower = await pair.follow();
  await follower.settle();
  return follower;
}

/** Counts what the leader is asked; `change` may stand between a line and its answer. */
function watch(pair: Pair, change: (line: Line) => Promise<Response | null> | Response | null) {
  const { send } = pair.wire;
  const seen = { writes: 0, lines: 0 };
  pair.wire.send = async (url, init) => {
    if (init?.method !== "POST" || !/\/(mutations|commit|batch)$/.test(url)) return send(url, init);
    seen.writes += 1;
    if (!url.endsWith("/mutations")) return send(url, init);
    seen.lines += 1;
    const { mutations } = JSON.parse(init.body as string) as { mutations: object[] };
    const pass = (some: readonly object[]) =>
      Promise.resolve(send(url, { ...init, body: JSON.stringify({ mutations: some }) }));
    return (await change({ mutations, pass })) ?? pass(mutations);
  };
  return seen;
}

interface Line {
  readonly mutations: readonly object[];
  readonly pass: (some: readonly object[]) => Promise<Response>;
}

const busy = toProblem(new SyncError("overloaded", { retryAfterSeconds: 1 }));

/** The leader takes the first two, and no more now. */
const stopAtTwo = async ({ mutations, pass }: Line): Promise<Response> => {
  const { answers } = (await (await pass(mutations.slice(0, 2))).json()) as { answers: object[] };
  return Response.json({ answers, stopped: busy });
};

test("what the token may not write is that mutation's answer, the same as on the leader", async () => {
  await using pair = await createPair();
  await followed(pair);
  const token = await tokenFor([{ library: pair.libraryId, role: "writer", types: ["album"] }]);
  const as = { authorization: `Bearer ${token}` };
  const tag = { resource_type: "tag", operation: "insert", id: createId(), data: { name: "t" } };
  const line = lineOf([
    { commit: tag },
    { commit: album("a") },
    { batch: { changes: [album("b"), tag] } },
    { commit: { ...tag, resource_type: "spaceship" } },
    { commit: { resource_type: "tag" } },
    { batch: { changes: [album("c")] } },
  ]);
  const here = await pair.phone.send("POST", `${pair.at}/mutations`, line, as);
  const there = await pair.leader.send("POST", `${pair.at}/mutations`, line, as);
  const replayed = there.body.answers.map((one: { problem?: object }) =>
    one.problem === undefined ? { ...one, replayed: false } : one,
  );
  expect([here.status, here.body]).toEqual([200, { answers: replayed }]);
  expect(
    replayed.map((one: { problem?: { code: string } }) => one.problem?.code ?? "done"),
  ).toEqual(["forbidden", "done", "forbidden", "unknown_resource_type", "invalid_body", "done"]);
  expect(await namesAt(pair)).toEqual(["a", "c"]);
});

test("where the leader stops, the replica stops: the rest waits only for a caller that asks for it", async () => {
  await using pair = await createPair();
  const follower = await followed(pair);
  const token = await tokenFor([{ library: pair.libraryId, role: "writer", types: ["album"] }]);
  const as = { authorization: `Bearer ${token}` };
  const tag = { commit: { ...album("x"), resource_type: "tag" } };
  const works = ["a", "b", "c", "d"].map((name) => ({ commit: album(name) }));
  const seen = watch(pair, (line) => (seen.lines <= 2 ? stopAtTwo(line) : null));
  const line = lineOf([tag, ...works, tag]);
  const stopped = await pair.phone.send("POST", `${pair.at}/mutations`, line, as);
  expect([stopped.status, stopped.body.answers.length]).toEqual([200, 3]);
  expect(stopped.body.stopped).toMatchObject({ code: "overloaded", status: 503 });
  expect(stopped.body.answers[0].problem.code).toBe("forbidden");
  const kept = await pair.phone.send("POST", `${pair.at}/mutations?queue=1`, line, as);
  expect(kept.status).toBe(202);
  expect(kept.body.answers).toMatchObject([
    { problem: { code: "forbidden" } },
    { sequence: 1, replayed: true },
    { sequence: 2, replayed: true },
    { queued: true, mutation_id: line.mutations[3]?.mutation_id },
    { queued: true, mutation_id: line.mutations[4]?.mutation_id },
    { problem: { code: "forbidden" } },
  ]);
  expect(await follower.settle()).toBe("live");
  expect(await namesAt(pair)).toEqual(["a", "b", "c", "d"]);
});

test("I5: without its leader a line waits as a whole when asked, each under its id, and an id has one content", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  const follower = await followed(pair);
  pair.cut(true);
  const tag = createId();
  const line = lineOf([
    { commit: { ...album("red", tag), resource_type: "tag" } },
    { batch: { changes: [album("b"), album("c")] } },
    { action: "tag.apply", input: { tag_id: tag, file_ids: [createId()] } },
    { commit: { resource_type: "album" } },
  ]);
  const send = (body: object) => phone.send("POST", `${pair.at}/mutations?queue=1`, body);
  const refused = await phone.send("POST", `${pair.at}/mutations`, line);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
  const first = await send(line);
  expect([first.status, first.body.answers.length]).toEqual([202, 4]);
  expect(first.body.answers[3].problem.code).toBe("invalid_body");
  expect((await send(line)).body).toEqual(first.body);
  const other = { ...line.mutations[1], batch: { changes: [album("other")] } };
  expect((await send({ mutations: [other] })).body.answers).toMatchObject([
    { problem: { code: "mutation_reused" } },
  ]);
  const id = line.mutations[0]?.mutation_id;
  const alone = await phone.send("POST", `${pair.at}/commit?queue=1`, {
    ...album("else"),
    mutation_id: id,
  });
  expect([alone.status, alone.body.code]).toEqual([409, "mutation_reused"]);
  pair.cut(false);
  expect(await follower.settle()).toBe("live");
  const { entries } = (await phone.send("GET", `${pair.at}/log`)).body;
  const ids = line.mutations.map(({ mutation_id }) => mutation_id);
  expect(entries.map((one: { mutation_id: string }) => one.mutation_id)).toEqual([
    ids[0],
    ids[1],
    ids[1],
    ids[2],
  ]);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(pair.leader.library));
});

test("a backlog goes out in lines and in order; what is refused on the way is set aside, what is stopped goes again", async () => {
  await using pair = await createPair();
  const { phone } = pair;
  const follower = await followed(pair);
  pair.cut(true);
  const names = Array.from({ length: 250 }, (_, at) => `album ${at}`);
  for (let at = 0; at < names.length; at += 50)
    await phone.send("POST", `${pair.at}/mutations?queue=1`, named(...names.slice(at, at + 50)));
  const bad = lineOf([{ commit: { ...album("bad"), operation: "update" } }]);
  await phone.send("POST", `${pair.at}/mutations?queue=1`, bad);
  const last = { ...album("last"), mutation_id: createId() };
  const named2 = { "x-device-id": "another" };
  await phone.send("POST", `${pair.at}/commit?queue=1`, last, named2);
  pair.cut(false);
  const seen = watch(pair, (line) => (seen.lines === 1 ? stopAtTwo(line) : null));
  expect(await follower.settle()).toBe("live");
  expect(await namesAt(pair)).toEqual([...names, "last"]);
  // Two of the first line; then 100, 100, 49; then the one of the other device by its own route.
  expect(seen).toEqual({ lines: 4, writes: 5 });
  const { body } = await phone.send("GET", `${pair.at}/follower`);
  expect(body.rejected).toMatchObject([
    { mutation_id: bad.mutations[0]?.mutation_id, problem: { code: "not_found" } },
  ]);
  expect(body.waiting).toEqual([]);
});

test("a replica counts what waits and what was refused, and reads neither to find the other", async () => {
  const asked = new Set<string>();
  await using pair = await createPair({
    followerDecorate: (_name, database) => ({
      ...database,
      read: (statements) => {
        for (const { sql } of statements) if (sql.includes("problem IS")) asked.add(sql);
        return database.read(statements);
      },
    }),
  });
  const { phone } = pair;
  const follower = await followed(pair);
  const { database } = await pair.replica();
  const problem = JSON.stringify(toProblem(new SyncError("not_found", { what: "album" })));
  await database.write([
    {
      sql: `INSERT INTO outbox (mutation_id, request, created_at, problem)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        SELECT 'refused ' || i, '{}', 0, ? FROM n`,
      args: [problem],
    },
  ]);
  pair.cut(true);
  await phone.send("POST", `${pair.at}/mutations?queue=1`, named("a", "b"));
  const { body } = await phone.send("GET", `${pair.at}/follower`);
  expect([body.waiting_count, body.waiting.length]).toEqual([2, 2]);
  expect([body.rejected_count, body.rejected.length]).toEqual([1_500, 1_000]);
  pair.cut(false);
  await follower.settle();
  expect(await namesAt(pair)).toEqual(["a", "b"]);
  expect(asked.size).toBeGreaterThan(3);
  for (const sql of asked) {
    const [plan = []] = await database.write([{ sql: `EXPLAIN QUERY PLAN ${sql}`, args: [] }]);
    const scans = plan
      .map((row) => row[3] as string)
      .filter((step) => step.includes("SCAN outbox"));
    expect(scans.length).toBeGreaterThan(0);
    expect(scans.filter((step) => !/INDEX outbox_(waiting|refused)/.test(step))).toEqual([]);
  }
});

test("I5: a line whose answer was lost, or broke off, takes effect once", async () => {
  await using pair = await createPair();
  const follower = await followed(pair);
  pair.cut(true);
  await pair.phone.send("POST", `${pair.at}/mutations?queue=1`, named("a", "b", "c"));
  pair.cut(false);
  const seen = watch(pair, async ({ mutations, pass }) => {
    if (seen.lines === 1) {
      await pass(mutations);
      throw new TypeError("The reply was lost.");
    }
    if (seen.lines > 2) return null;
    const text = await (await pass(mutations)).text();
    return new Response(text.slice(0, -10), { headers: { "content-type": "application/json" } });
  });
  expect(await follower.settle()).toBe("waiting");
  expect(await follower.settle()).toBe("waiting");
  expect(await follower.settle()).toBe("live");
  expect(seen.lines).toBe(3);
  expect(await namesAt(pair)).toEqual(["a", "b", "c"]);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(pair.leader.library));
});

test("a line that is refused as a whole is sent one by one, and a token that is no longer good lets it wait", async () => {
  await using pair = await createPair();
  const follower = await followed(pair);
  pair.cut(true);
  await pair.phone.send("POST", `${pair.at}/mutations?queue=1`, named("a", "b", "c"));
  pair.cut(false);
  const refuse = (error: SyncError) => {
    const problem = toProblem(error);
    return Response.json(problem, { status: problem.status });
  };
  const seen = watch(pair, () =>
    seen.lines < 3 ? refuse(new SyncError("body_too_large", { limitBytes: 1 })) : null,
  );
  expect(await follower.settle()).toBe("live");
  // Twice in vain, each time the first goes alone; the last that is left needs no line.
  expect(seen).toEqual({ lines: 2, writes: 5 });
  expect(await namesAt(pair)).toEqual(["a", "b", "c"]);
  const { send } = pair.wire;
  pair.wire.send = async (url, init) =>
    init?.method === "POST" && /\/(mutations|commit)$/.test(url)
      ? refuse(new SyncError("unauthorized", { reason: "expired" }))
      : send(url, init);
  pair.cut(true);
  await pair.phone.send("POST", `${pair.at}/mutations?queue=1`, named("d", "e"));
  pair.cut(false);
  // It is the follower's own token; whoever writes here must not look for a fault in theirs.
  for (const path of ["mutations", "commit"]) {
    const body = path === "commit" ? album("x") : named("x");
    const answered = await pair.phone.send("POST", `${pair.at}/${path}`, body);
    expect([answered.status, answered.body.code]).toEqual([503, "overloaded"]);
  }
  await follower.settle();
  expect(await readWaiting((await pair.replica()).database)).toHaveLength(2);
  pair.wire.send = send;
  follower.resume();
  await follower.settle();
  expect(await namesAt(pair)).toEqual(["a", "b", "c", "d", "e"]);
});

test("I10, DOM-04: a registered device writes on a replica as itself only", async () => {
  await using pair = await createPair();
  await followed(pair);
  await pair.phone.send("POST", `${pair.at}/devices`, { id: "tester", name: "t" });
  const as = { "x-device-id": "other" };
  const refused = await pair.phone.send("POST", `${pair.at}/mutations`, named("a"), as);
  expect([refused.status, refused.body.reason]).toEqual([403, "other_device"]);
  expect(await namesAt(pair)).toEqual([]);
});

test("while a follower begins anew its replica takes writes", async () => {
  await using pair = await createPair();
  await followed(pair);
  pair.cut(true);
  const [, kept] = await Promise.all([
    pair.follow(),
    pair.phone.send("POST", `${pair.at}/mutations?queue=1`, named("a")),
  ]);
  expect([kept.status, kept.body.answers[0].queued]).toEqual([202, true]);
});

test("a leader of another history gets no writes before a person accepts it", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await followed(pair);
  const historyId = createId();
  Object.assign(leader.library.state, { historyId });
  const sql = "UPDATE library SET history_id = ?";
  await leader.library.database.write([{ sql, args: [historyId] }]);
  expect(await follower.settle()).toBe("foreign");
  const refused = await phone.send("POST", `${pair.at}/commit`, album("a"));
  expect([refused.status, refused.body.code]).toEqual([503, "overloaded"]);
  const kept = await phone.send("POST", `${pair.at}/mutations?queue=1`, named("b"));
  expect(kept.body.answers).toMatchObject([{ queued: true }]);
  expect(await namesAt(pair)).toEqual([]);
  follower.resume({ acceptHistory: true });
  expect(await follower.settle()).toBe("live");
  expect(await namesAt(pair)).toEqual(["b"]);
});

test("nor does one that was restored a moment ago, before the follower has looked", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const follower = await followed(pair);
  pair.cut(true);
  const waiting = await phone.send("POST", `${pair.at}/mutations?queue=1`, named("waiting"));
  expect(waiting.body.answers).toMatchObject([{ queued: true }]);
  await leader.library.database.write([
    { sql: "UPDATE library SET history_id = 'other'", args: [] },
  ]);
  await leader.service.catalog.release(pair.libraryId);
  pair.cut(false);
  for (const path of ["commit", "commit?queue=1", "mutations", "bulk?resource_type=album"]) {
    const body = path.startsWith("mutations") ? named("b") : album("a");
    const { status } = await phone.send("POST", `${pair.at}/${path}`, body);
    expect([path, status]).toEqual([path, path.includes("queue") ? 202 : 503]);
  }
  expect(await follower.settle()).toBe("foreign");
  expect(await follower.outbox.list()).toMatchObject({ waitingCount: 2, rejectedCount: 0 });
  const { database } = await leader.service.catalog.open(pair.libraryId);
  const counts = "SELECT (SELECT count(*) FROM albums), (SELECT count(*) FROM sync_log)";
  const [rows = []] = await database.read([{ sql: counts, args: [] }]);
  expect([...(rows[0] ?? [])]).toEqual([0, 0]);
});

test("I5: what waited when a follower was promoted is the same mutation when it is sent again", async () => {
  await using pair = await createPair();
  await followed(pair);
  pair.cut(true);
  const tag = createId();
  const line = lineOf([
    { commit: { ...album("red", tag), resource_type: "tag" } },
    { batch: { changes: [album("b"), album("c")], operation: "Update" } },
    { action: "tag.apply", input: { tag_id: tag, file_ids: [createId()] } },
  ]);
  await pair.phone.send("POST", `${pair.at}/mutations?queue=1`, line);
  await pair.phone.send("POST", `${pair.at}/leader/promote`);
  const again = await pair.phone.send("POST", `${pair.at}/mutations`, line);
  expect(again.body.answers).toMatchObject([
    { sequence: 1, epoch: 2, replayed: true },
    { last_sequence: 3, replayed: true },
    { last_sequence: 4, replayed: true },
  ]);
});
