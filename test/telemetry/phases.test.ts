/** What the log tells at its lowest level: each phase with its parts, and nothing at any other (OBS-01, OBS-02). */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";
import { phases } from "../../src/telemetry/names.ts";
import { createPair, setupRequest } from "../support/pair.ts";

type Line = Readonly<Record<string, unknown>>;

function record(level: "debug" | "info") {
  const lines: Line[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line);
  return { lines, telemetry: openTelemetry({ level, isPretty: false, write }).telemetry };
}

test("OBS-02: each phase tells its library, what it handled and how long each part took", async () => {
  const { lines, telemetry } = record("debug");
  await using pair = await createPair({ telemetry });
  const { leader, phone } = pair;
  const [id, manual] = [createId(), createId()];
  await leader.insertAlbum("a", id);
  const rename = { resource_type: "album", operation: "update", id, data: { name: "b" } };
  await leader.send("POST", `${leader.at}/commit`, rename);
  const late = { ...rename, data: { name: "c" }, expected_version: 1, base: { name: "a" } };
  await leader.send("POST", `${leader.at}/commit`, late);
  await leader.app.request(`${leader.at}/bulk?resource_type=tag`, {
    method: "POST",
    headers: { authorization: `Bearer ${leader.token}`, "content-type": "application/x-ndjson" },
    body: JSON.stringify({ id: manual, name: "t" }),
  });
  const follower = await pair.follow();
  await follower.settle();
  await leader.insertAlbum("more");
  follower.wake();
  await follower.settle();
  await phone.insertAlbum("own");
  await phone.send("POST", "/v1/sync-setup", setupRequest(pair, "MergeIntoRemote", "node"));
  await phone.service.setup.settled();

  const told = new Map(lines.map((line) => [line["phase"], line]));
  for (const phase of Object.keys(phases)) {
    const line = told.get(phase);
    expect([phase, line?.["level"], typeof line?.["ms"]]).toEqual([phase, "debug", "number"]);
    expect(line?.["library_id"]).toBeString();
  }
  const groups = lines.filter(({ phase }) => phase === "commit.group");
  expect(groups.filter((line) => line["late"] === 1)).toHaveLength(1);
  for (const group of groups) {
    const parts = ["read_ms", "plan_ms", "write_ms"].map((part) => Number(group[part]));
    for (const ms of parts) expect(ms).toBeGreaterThanOrEqual(0);
    // Each is rounded by itself.
    expect(parts[0]! + parts[1]! + parts[2]!).toBeLessThan(Number(group["ms"]) + 0.1);
  }
  expect(told.get("commit.bulk_chunk")).toMatchObject({ resource_type: "tag", records: 1 });
  expect(told.get("merge.page")).toMatchObject({ records: 1, merged: 1, refused: 0 });
  expect(JSON.stringify(lines)).not.toContain(leader.token);
});

test("OBS-01: at the level info nothing is timed, and no line tells a phase", async () => {
  const { lines, telemetry } = record("info");
  expect(Object.keys(phases).map((phase) => telemetry.time(phase as keyof typeof phases))).toEqual(
    Object.keys(phases).map(() => null),
  );
  await using pair = await createPair({ telemetry });
  await pair.leader.insertAlbum("a");
  expect(lines.filter(({ level }) => level === "debug")).toEqual([]);
});
