/**
 * Whatever the leader does and wherever the line breaks, once it is quiet the follower has what the
 * leader has (I7, S5), and its log is the leader's (I1). A failure prints its seed.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createPair, logOf, recordsOf } from "../support/pair.ts";
import type { World } from "../support/world.ts";

const ids = Array.from({ length: 6 }, (_, index) => `00000000-0000-4000-8000-00000000000${index}`);

const album = fc.constantFrom(...ids);
const change = fc.oneof(
  fc.record({
    operation: fc.constant("upsert"),
    id: album,
    name: fc.string({ minLength: 1, maxLength: 4 }),
  }),
  fc.record({ operation: fc.constant("delete"), id: album, name: fc.constant("") }),
);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("bulk" as const),
      ids: fc.uniqueArray(album, { minLength: 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pull" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("trim" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("break" as const),
      after: fc.nat({ max: 3 }),
      bytes: fc.nat({ max: 900 }),
    }),
  },
);

async function commit(
  leader: World,
  at: string,
  changes: { operation: string; id: string; name: string }[],
) {
  const isSmall = changes.length === 1;
  const wire = changes.map(({ operation, id, name }) => ({
    resource_type: "album",
    operation,
    id,
    ...(operation === "delete" ? {} : { data: { name: `n${encodeURIComponent(name)}` } }),
  }));
  // Deleting what is not there is refused as a whole: then nothing happened.
  if (isSmall) await leader.send("POST", `${at}/commit`, wire[0]);
  else await leader.send("POST", `${at}/batch`, { changes: wire });
}

async function bulk(leader: World, at: string, chosen: string[], mark: number) {
  const lines = chosen.map((id) => JSON.stringify({ id, name: `bulk ${mark}` }));
  await leader.app.request(`${at}/bulk?resource_type=album&mode=upsert`, {
    method: "POST",
    headers: { authorization: `Bearer ${leader.token}`, "content-type": "application/x-ndjson" },
    body: lines.join("\n"),
  });
}

/** Lets the next answers pass, then cuts one off in its middle. */
function breakAfter(pair: Awaited<ReturnType<typeof createPair>>, after: number, bytes: number) {
  const { send } = pair.wire;
  let left = after;
  pair.wire.send = async (url, init) => {
    const answer = await send(url, init);
    left -= 1;
    if (left >= 0) return answer;
    pair.wire.send = send;
    const whole = new Uint8Array(await answer.arrayBuffer());
    const part = whole.slice(0, Math.min(bytes, Math.max(0, whole.length - 1)));
    return new Response(part, { status: answer.status, headers: answer.headers });
  };
}

async function trim({ library }: World): Promise<void> {
  const { state, database } = library;
  if (state.head < 2) return;
  await database.write([
    { sql: "UPDATE library SET oldest_sequence = ?", args: [state.head] },
    { sql: "DELETE FROM sync_log WHERE sequence < ?", args: [state.head] },
  ]);
  state.oldestSequence = state.head;
}

test("I7, CONF-18: random changes, breaks, restarts and trims end in equal records and equal logs", async () => {
  await using pair = await createPair({ limits: { pageMax: 3, pageDefault: 3 } });
  const { leader, at } = pair;
  let follower = await pair.follow();
  let mark = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 14 }), async (actions) => {
      const { send } = pair.wire;
      for (const one of actions) {
        if (one.do === "commit") await commit(leader, at, one.changes);
        else if (one.do === "bulk") await bulk(leader, at, one.ids, (mark += 1));
        else if (one.do === "pull") await follower.settle();
        else if (one.do === "trim") await trim(leader);
        else if (one.do === "break") breakAfter(pair, one.after, one.bytes);
        else {
          await follower.stop();
          follower = await pair.follow().catch(() => follower);
        }
      }
      pair.wire.send = send;
      if (follower.status.state === "stopped") follower = await pair.follow();
      for (let left = 3; left > 0 && (await follower.settle()) !== "live"; left -= 1);
      expect(follower.status).toMatchObject({ state: "live", head: leader.library.state.head });
      const replica = await pair.replica();
      expect(await recordsOf(replica)).toEqual(await recordsOf(leader.library));
      const oldest = Math.max(replica.state.oldestSequence, leader.library.state.oldestSequence);
      expect(await logOf(replica, oldest - 1)).toEqual(await logOf(leader.library, oldest - 1));
    }),
    { numRuns: 25 },
  );
});
