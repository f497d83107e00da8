import { expect, test } from "bun:test";
import fc from "fast-check";
import { Unpackr } from "msgpackr/unpack";
import { createId } from "../../src/base/id.ts";
import { joinBytes } from "../../src/stream/frame.ts";
import type { WireEvent } from "../../src/stream/event.ts";
import { readFrames } from "../support/events.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";

/** One thing a stream said: an event, or that positions up to `cursor` were passed over. */
interface Step {
  readonly cursor: number;
  readonly event: WireEvent | null;
}

const ACCEPT = "application/vnd.syncline.events+msgpack";

function open(world: World, query: string, headers: Record<string, string> = {}) {
  return world.app.request(`${world.at}/events?${query}`, {
    headers: { authorization: `Bearer ${world.token}`, ...headers },
  });
}

async function* readJson(world: World, query: string): AsyncGenerator<Step> {
  for await (const { id, data, event } of readFrames(await open(world, `encoding=json&${query}`))) {
    const isEvent = event !== null && /^(Resource|Bulk)/.test(event);
    if (id === null) continue;
    yield {
      cursor: Number(id),
      event: isEvent ? (JSON.parse(data ?? "null") as WireEvent) : null,
    };
  }
}

async function* readRecords(world: World, query: string): AsyncGenerator<Step> {
  const response = await open(world, `records=1&${query}`, { accept: ACCEPT });
  let unpackr = new Unpackr({ useRecords: false });
  let isGreeted = false;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    if (!isGreeted) {
      const { hello } = unpackr.unpack(part) as { hello: { structures: string[][] } };
      unpackr = new Unpackr({ structures: hello.structures, mapsAsObjects: true });
      isGreeted = true;
      continue;
    }
    const values = unpackr.unpackMultiple(joinBytes([part]) as Buffer) as (
      | WireEvent
      | { skip: number }
    )[];
    for (const value of values) {
      if ("skip" in value) yield { cursor: value.skip, event: null };
      else if ("kind" in value) {
        yield { cursor: value.envelope.sequence ?? 0, event: value };
      }
    }
  }
}

/** Records as a client keeps them, by what events say. */
function apply(records: Map<string, string>, { kind }: WireEvent): void {
  const data = kind.data as {
    resource_type: string;
    resource?: { id: string } | null;
    resources?: { id: string }[];
    resource_id?: string;
    deleted_ids?: string[];
  };
  const changed = data.resources ?? (data.resource ? [data.resource] : []);
  for (const one of changed) records.set(`${data.resource_type}:${one.id}`, JSON.stringify(one));
  const gone = kind.type === "ResourceDeleted" ? [data.resource_id ?? ""] : data.deleted_ids;
  for (const id of gone ?? []) records.delete(`${data.resource_type}:${id}`);
}

/** The same records straight from the tables, as `resources` answers them. */
async function expected(world: World, types: readonly string[]): Promise<Map<string, string>> {
  const records = new Map<string, string>();
  for (const type of types) {
    const { body } = await world.send("GET", `${world.at}/resources/${type}?limit=1000`);
    for (const one of body.resources) records.set(`${type}:${one.id}`, JSON.stringify(one));
  }
  return records;
}

type Change = readonly [type: "album" | "tag", operation: "upsert" | "delete", record: number];

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom("album", "tag"),
  fc.constantFrom("upsert", "upsert", "upsert", "delete"),
  fc.nat(7),
);

/** Some records changed often: so that catch-up has much to collapse. */
async function write(world: World, groups: readonly (readonly Change[])[]): Promise<void> {
  const ids = Array.from({ length: 16 }, () => createId());
  for (const [round, group] of groups.entries()) {
    const seen = new Set<string>();
    const changes = group.flatMap(([resource_type, operation, record]) => {
      const id = ids[record + (resource_type === "tag" ? 8 : 0)] ?? "";
      if (seen.has(id)) return [];
      seen.add(id);
      const data = { name: `${resource_type} ${record} of ${round}` };
      return [{ resource_type, operation, id, ...(operation === "delete" ? {} : { data }) }];
    });
    // Some deletes find nothing: they are refused, and leave no position.
    await world.send("POST", `${world.at}/batch`, { changes, atomic: false });
  }
}

test("I6 I7: a client that reconnects at random ends with the rows, whatever its filter and encoding", async () => {
  const groups = fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), {
    minLength: 4,
    maxLength: 30,
  });
  const filter = fc.constantFrom("", "album", "tag", "album,tag");
  const visits = fc.array(fc.nat(9), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(groups, filter, visits, fc.boolean(), async (made, types, stays, isBare) => {
      await using world = await createWorld({ limits: { ringEvents: 8, chunkBytes: 600 } });
      const writing = write(world, made);
      const read = isBare ? readRecords : readJson;
      const records = new Map<string, string>();
      let cursor = 0;
      const progress = { isWritten: false };
      void writing.then(() => (progress.isWritten = true));
      for (let visit = 0; !progress.isWritten || cursor < world.library.state.head; visit += 1) {
        const stay = stays[visit % stays.length] ?? 1;
        let count = 0;
        if (cursor >= world.library.state.head) {
          await Promise.race([writing, new Promise((resolve) => setImmediate(resolve))]);
          continue;
        }
        for await (const step of read(world, `after=${cursor}&types=${types}`)) {
          if (step.event !== null) {
            const { sequence = 0, span = 0 } = step.event.envelope;
            // Positions a filter leaves out lie between: an event never reaches back behind the cursor.
            expect(sequence - span).toBeGreaterThanOrEqual(cursor);
            if (types === "") expect(sequence - span).toBe(cursor);
            apply(records, step.event);
          }
          expect(step.cursor).toBeGreaterThan(cursor);
          cursor = step.cursor;
          count += 1;
          if (count > stay || cursor >= world.library.state.head) break;
        }
      }
      await writing;
      expect(cursor).toBe(world.library.state.head);
      const wanted = types === "" ? ["album", "tag"] : types.split(",");
      expect(records).toEqual(await expected(world, wanted));
    }),
    { numRuns: 8 },
  );
});
