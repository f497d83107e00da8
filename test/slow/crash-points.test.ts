/**
 * Crash points: the service is killed with SIGKILL at every numbered point of the write path, under
 * load. A phantom may remain (a commit that nobody was told of), never a hole: what was acknowledged
 * is there, the log is dense, rows and entries agree, and a mutation id that is sent again takes
 * effect once and answers the same.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { createId } from "../../src/base/id.ts";
import { points } from "../support/crash-point.ts";
import { tokenFor } from "../support/world.ts";

const library = createId();
const directory = await mkdtemp(join(tmpdir(), "syncline-points-"));
afterAll(() => rm(directory, { recursive: true, force: true }));
const token = await tokenFor([{ library: "*", role: "owner" }], 3_600);
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

async function start(point: string, nth: number) {
  const script = join(import.meta.dir, "../support/crash-point.ts");
  const child = Bun.spawn(
    ["test/support/tethered.sh", process.execPath, script, directory, library, point, String(nth)],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const started = (at: string | null) => ({
    child,
    at,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
    },
  });
  const reader = child.stdout.getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    // A point may lie on the way up: what the node before it left unfinished is closed there.
    if (done) return started(null);
    text += new TextDecoder().decode(value);
    const url = /listens at (\S+)/.exec(text)?.[1];
    if (url !== undefined) return started(`${url}/v1/libraries/${library}`);
  }
}

interface Sent {
  readonly body: string;
  readonly mutationId: string;
  /** Null while nobody knows what became of it. */
  answer: { sequence: number; transaction_id: string; resource: unknown } | null;
}
const sent: Sent[] = [];
const uploads = new Map<string, { body: string; count: number; isDone: boolean }>();

/** Inserts, renames and deletes until the service is gone. */
async function write(at: string): Promise<void> {
  const id = createId();
  for (let round = 0; round < 3_000; round += 1) {
    const operation = (["upsert", "update", "update", "delete"] as const)[round % 4] ?? "upsert";
    const mutationId = createId();
    const data = operation === "delete" ? {} : { data: { name: `${round} of ${id}` } };
    const change = { resource_type: "album", operation, id, ...data, mutation_id: mutationId };
    const one: Sent = { body: JSON.stringify(change), mutationId, answer: null };
    sent.push(one);
    const response = await fetch(`${at}/commit`, { method: "POST", headers, body: one.body });
    one.answer = (await response.json()) as Sent["answer"];
    expect(response.status).toBe(200);
  }
}

async function upload(at: string): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    const operation = createId();
    const location_id = createId();
    const lines = Array.from({ length: 230 }, (_, index) =>
      JSON.stringify({ id: createId(), location_id, name: `f${index}`, size: index }),
    );
    uploads.set(operation, { body: lines.join("\n"), count: lines.length, isDone: false });
    expect(await send(at, operation)).toMatchObject({ state: "complete", affected_count: 230 });
  }
}

async function send(at: string, operation: string): Promise<unknown> {
  const one = uploads.get(operation);
  const response = await fetch(`${at}/bulk?resource_type=file&mode=insert&token=${operation}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/x-ndjson" },
    body: one?.body ?? "",
  });
  const answer: unknown = await response.json();
  if (one !== undefined && response.ok) one.isDone = true;
  return answer;
}

/** I1, I2, I3 and the horizon, straight from the file. */
async function examine(): Promise<void> {
  const client = createClient({ url: `file:${directory}/${library}.db` });
  const all = async (sql: string) => (await client.execute(sql)).rows.map((row) => Array.from(row));
  const [bounds = []] = await all("SELECT head, oldest_sequence FROM library");
  const [head, oldest] = bounds as [number, number];
  const log = await all(
    "SELECT sequence, epoch, record_id, version, data FROM sync_log ORDER BY 1",
  );
  expect(log.map(([sequence]) => sequence as number)).toEqual(
    Array.from({ length: head - oldest + 1 }, (_, index) => oldest + index),
  );
  const epochs = log.map(([, epoch]) => epoch as number);
  expect(epochs).toEqual(epochs.toSorted((left, right) => left - right));
  const newest = new Map(log.map((entry) => [entry[2], entry]));
  const albums = await all("SELECT id, version, name FROM albums");
  for (const [id, version, name] of albums) {
    const entry = newest.get(id);
    if (entry === undefined) continue;
    expect([entry[3], (JSON.parse(entry[4] as string) as { name: string }).name]).toEqual([
      version,
      name as string,
    ]);
  }
  const standing = new Set(albums.map(([id]) => id));
  const buried = new Set((await all("SELECT record_id FROM tombstones")).map(([id]) => id));
  for (const id of newest.keys()) {
    if (log.some((entry) => entry[2] === id && entry[4] === null && !standing.has(id))) {
      expect(buried.has(id)).toBe(true);
    }
  }
  const counts = await all("SELECT resource_type, count FROM checksums");
  const [[fileCount = 0] = []] = await all("SELECT count(*) FROM files");
  expect({ album: 0, file: 0, ...Object.fromEntries(counts) }).toEqual({
    album: albums.length,
    file: fileCount,
  });
  client.close();
}

/** I4 and I5: whatever was sent is sent again, twice; nothing that was answered changes. */
async function askAgain(at: string, from: number): Promise<void> {
  for (const one of sent.slice(from)) {
    const answers = [];
    for (let time = 0; time < 2; time += 1) {
      const response = await fetch(`${at}/commit`, { method: "POST", headers, body: one.body });
      answers.push((await response.json()) as { sequence: number; replayed: boolean });
    }
    const [first, second] = answers;
    // An update that never arrived may meet a record that another round has deleted by now.
    if (one.answer === null && first?.sequence === undefined) continue;
    expect(second).toMatchObject({ replayed: true, sequence: first?.sequence });
    if (one.answer === null) continue;
    // A record deleted since was redacted from the log (LOG-14): its replays carry no resource.
    const { resource } = first as unknown as Sent["answer"] & object;
    const expected = resource === null ? { ...one.answer, resource } : one.answer;
    expect(first).toEqual({ ...expected, replayed: true } as never);
  }
  for (const [operation, { count, isDone }] of uploads) {
    const state = (await (await fetch(`${at}/bulk/${operation}`, { headers })).json()) as {
      state?: string;
    };
    if (state.state === "running") throw new Error(`The bulk ${operation} was left silent.`);
    expect(await send(at, operation)).toMatchObject({
      affected_count: count,
      replayed: isDone || state.state === "complete",
    });
  }
  uploads.clear();
}

for (const [name, { where }] of Object.entries(points)) {
  test(`I1 to I5: killed at point ${name}`, async () => {
    for (const nth of [1, 7]) {
      const from = sent.length;
      await using started = await start(name, nth);
      const { child, at } = started;
      if (at !== null) {
        await Promise.allSettled([...Array.from({ length: 4 }, () => write(at)), upload(at)]);
      }
      await child.exited;
      expect([where, child.signalCode]).toEqual([where, "SIGKILL"]);
      await examine();
      {
        await using healthy = await start("none", 0);
        await askAgain(healthy.at ?? "", name.includes("trim") ? sent.length : from);
      }
      await examine();
    }
  }, 60_000);
}
