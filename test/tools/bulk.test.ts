import { expect, test } from "bun:test";
import { describeFailures, uploadBulk } from "../../src/tools/bulk.ts";
import { createNetwork, problem, type Answer } from "./network.ts";

const receipt = { token: "t", affected_count: 2, sequence: 9, failed_count: 0, failures: [] };

async function* twoLines(): AsyncGenerator<string> {
  yield '{"id":"1"}\n';
  yield '{"id":"2"}\n';
}

function upload(answers: readonly Answer[], lines: () => AsyncIterable<string> = twoLines) {
  const network = createNetwork(answers);
  const query = { resource_type: "file", mode: "insert", on_error: undefined };
  const { api, clock } = network;
  const answer = uploadBulk(api, { library: "lib", query, token: "t", lines, clock });
  return { answer, seen: network.seen };
}

test("lines are streamed as one NDJSON body under the caller's token", async () => {
  const { answer, seen } = upload([Response.json(receipt)]);
  expect(await answer).toMatchObject({ affected_count: 2, sequence: 9 });
  expect(seen[0]?.url.search).toBe("?resource_type=file&mode=insert&token=t");
  expect(seen[0]?.body).toBe('{"id":"1"}\n{"id":"2"}\n');
});

test("after a lost connection all lines go again under the same token", async () => {
  const { answer, seen } = upload([new Error("reset"), Response.json(receipt)]);
  await answer;
  expect(seen.map(({ body }) => body.length)).toEqual([22, 22]);
  expect(seen[1]?.url.searchParams.get("token")).toBe("t");
});

test("a refusal says how much was written before it", async () => {
  const { answer } = upload([
    problem(422, { title: "The record is not valid", code: "invalid_record", index: 1 }),
    Response.json({ state: "interrupted", affected_count: 1 }),
  ]);
  await expect(answer).rejects.toThrow(
    "The record is not valid (invalid_record; index 1)\nWritten before it ended: 1 record",
  );
});

test("lines that cannot be made end it at once with their own error, and what was written", async () => {
  const state = (name: string, affected_count: number) =>
    Response.json({ state: name, affected_count });
  const { answer, seen } = upload(
    [state("running", 1), state("interrupted", 2)],
    async function* () {
      yield "{}\n";
      throw new Error("the disk is gone");
    },
  );
  await expect(answer).rejects.toThrow(
    "the disk is gone\nWritten before it ended: 2 records (interrupted).",
  );
  expect(seen.map(({ method }) => method)).toEqual(["GET", "GET"]);
});

test("failures are listed by index, and those beyond the list are counted", () => {
  const failures = [{ index: 3, problem: { title: "Not valid", code: "invalid_record" } }];
  expect(describeFailures({ ...receipt, failed_count: 5, failures })).toEqual([
    "  record 3: Not valid (invalid_record)",
    "  and 4 more",
  ]);
  const unread = new Map([[3, "Row 4 is not a row."]]);
  expect(describeFailures({ ...receipt, failed_count: 1, failures }, unread)).toEqual([
    "  record 3: Row 4 is not a row.",
  ]);
});
