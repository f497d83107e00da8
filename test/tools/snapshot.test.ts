import { expect, test } from "bun:test";
import { readSnapshot } from "../../src/tools/snapshot.ts";
import { createNetwork, problem, type Answer } from "./network.ts";

const head = (sequence: number, history = "h1"): object => ({
  snapshot: { sequence, history_id: history, types: ["album", "tag"] },
});
const record = (type: string, id: string): object => ({
  resource_type: type,
  resource: { id, version: 1 },
});
const tombstone = (type: string, id: string): object => ({
  resource_type: type,
  deleted: id,
  version: 2,
});
const end = (sequence: number, counts: object): object => ({ end: { sequence, counts } });

const lines = (...values: object[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("");

async function readAll(answers: readonly Answer[]) {
  const { api, seen, clock } = createNetwork(answers);
  const notices: string[] = [];
  const onNotice = (sentence: string): void => void notices.push(sentence);
  const read = await Array.fromAsync(
    readSnapshot(api, { library: "lib", types: "album,tag", onNotice, clock, random: () => 1 }),
  );
  return { read: read.map((line): unknown => JSON.parse(line)), seen, notices };
}

test("a snapshot that comes at once is passed on as it is", async () => {
  const all = [
    head(5),
    record("album", "a"),
    tombstone("album", "b"),
    end(5, { album: 1, tag: 0 }),
  ];
  const { read, seen } = await readAll([new Response(lines(...all))]);
  expect(read).toEqual(all);
  expect(seen[0]?.url.search).toBe("?types=album%2Ctag");
});

test("a snapshot that breaks off goes on behind the last record, and each comes once", async () => {
  const { read, seen, notices } = await readAll([
    new Response(`${lines(head(5), record("album", "a"), record("album", "b"))}{"resource_ty`),
    new Response(
      lines(head(9), record("album", "c"), record("tag", "a"), end(9, { album: 1, tag: 1 })),
    ),
  ]);
  expect(seen[1]?.url.searchParams.get("after_key")).toBe("album:b");
  expect(read).toEqual([
    head(5),
    record("album", "a"),
    record("album", "b"),
    record("album", "c"),
    record("tag", "a"),
    end(5, { album: 3, tag: 1 }),
  ]);
  expect(notices).toEqual(["The connection dropped; going on in 0.5 s."]);
});

test("tombstones that come a second time are left out", async () => {
  const { read, seen } = await readAll([
    new Response(lines(head(5), tombstone("album", "a"), tombstone("album", "b"))),
    new Response(
      lines(
        head(5),
        tombstone("album", "a"),
        tombstone("album", "b"),
        tombstone("album", "c"),
        end(5, { album: 0, tag: 0 }),
      ),
    ),
  ]);
  expect(seen[1]?.url.searchParams.get("after_key")).toBe("album:");
  expect(read).toEqual([
    head(5),
    tombstone("album", "a"),
    tombstone("album", "b"),
    tombstone("album", "c"),
    end(5, { album: 0, tag: 0 }),
  ]);
});

test("a library that was replaced meanwhile makes no mixed export", async () => {
  const answers = [
    new Response(lines(head(5), record("album", "a"))),
    new Response(lines(head(2, "h2"))),
  ];
  await expect(readAll(answers)).rejects.toThrow("replaced during the export");
});

test("a connection that never gets further is given up", async () => {
  const answers = Array.from({ length: 20 }, () => () => new Response(lines(head(5))));
  await expect(readAll(answers)).rejects.toThrow("the export is not complete");
});

test("a refusal is final", async () => {
  const answers = [problem(403, { code: "forbidden" })];
  await expect(readAll(answers)).rejects.toMatchObject({ problem: { code: "forbidden" } });
});
