import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { follow } from "./stream-reader.ts";
import type { Received } from "./stream-reader.ts";
import { createLibrary } from "./world.ts";
import type { Library, Topic } from "./world.ts";

const upTo = (sequence: number) => (frame: Received) => frame.id !== null && frame.id >= sequence;
const insert = (type: string, name: string) => ({
  resource_type: type,
  operation: "insert",
  id: createId(),
  data: { name },
});
const fresh = async (library: () => Promise<Library>) => createLibrary((await library()).target);
const encodings = ["sse-json", "sse", "msgpack"] as const;

/** Live events: what they look like, where they begin, and what a filter leaves out. */
export const stream: Topic = (library) => {
  for (const as of encodings) {
    test(`${as}: hello comes first, then every kind of event, each with its span`, async () => {
      const world = await fresh(library);
      await using stream = await follow(world, { as });
      const { response } = stream;
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toStartWith(
        as === "msgpack" ? "application/vnd.syncline.events+msgpack" : "text/event-stream",
      );
      expect(response.headers.get("cache-control")).toContain("no-store");
      expect(response.headers.get("cache-control")).toContain("no-transform");
      expect(response.headers.get("x-accel-buffering")).toBe("no");
      const hello = await stream.next();
      expect(hello.event).toBe("hello");
      expect(hello.data).toMatchObject({
        protocol: 1,
        history_id: world.created.body.history_id,
        head: 0,
        oldest_sequence: 1,
        epoch: world.created.body.epoch,
        leader_device_id: world.created.body.leader_device_id,
      });
      expect(hello.data.registry_hash).toBeString();
      expect(hello.data.types).toContain("album");
      const id = createId();
      const mutation_id = createId();
      await world.insert("album", { name: "a" }, { id, mutation_id });
      await world.commit({ resource_type: "album", operation: "update", id, data: { name: "b" } });
      const changes = [insert("tag", "t"), insert("album", "c"), insert("tag", "u")];
      await world.send("POST", "/batch", { body: { changes } });
      await world.commit({ resource_type: "album", operation: "delete", id });
      await world.send("POST", "/bulk?resource_type=tag", {
        body: JSON.stringify({ id: createId(), name: "bulk" }),
        headers: { "content-type": "application/x-ndjson" },
      });
      const seen = await stream.until(upTo(7));
      const events = seen.filter((frame) => frame.id !== null);
      expect(events.map((frame) => frame.event)).toEqual([
        "ResourceChanged",
        "ResourceChanged",
        "ResourceBatchChanged",
        "ResourceBatchChanged",
        "ResourceDeleted",
        "BulkOperationCompleted",
      ]);
      let position = 0;
      for (const frame of events) {
        const { envelope, kind } = frame.data;
        position += envelope.span as number;
        expect([envelope.sequence, frame.id]).toEqual([position, position]);
        expect(envelope).toMatchObject({
          library_id: world.id,
          epoch: world.created.body.epoch,
          id: expect.any(String),
          transaction_id: expect.any(String),
          timestamp: expect.stringMatching(/Z$/),
        });
        expect(kind.type).toBe(frame.event);
      }
      const data = events.map((frame) => frame.data.kind.data);
      expect(data[0]).toMatchObject({ resource_type: "album", resource: { id, version: 1 } });
      expect(events[0]?.data.envelope.mutation_id).toBe(mutation_id);
      const batches = data.slice(2, 4).toSorted((a, b) => a.resources.length - b.resources.length);
      expect(batches[0]).toMatchObject({ resource_type: "album", deleted_ids: [] });
      expect(batches[1]).toMatchObject({ resource_type: "tag", operation: "Update" });
      expect(batches[1].resources).toHaveLength(2);
      expect(data[4]).toEqual({ resource_type: "album", resource_id: id, version: 3 });
      expect(data[5]).toMatchObject({
        resource_type: "tag",
        affected_count: 1,
        mode: "insert",
        hints: {},
        operation_token: expect.any(String),
      });
    });

    test(`I6, ${as}: a stream resumes after its cursor, from the log, and goes on live`, async () => {
      const world = await fresh(library);
      for (let n = 1; n <= 6; n += 1) await world.album(`n${n}`);
      await using stream = await follow(world, { as, query: { after: "2" } });
      expect((await stream.next()).data.head).toBe(6);
      const missed = await stream.until(upTo(6));
      expect(missed.map((frame) => frame.data.kind.data.resource.name)).toEqual([
        "n3",
        "n4",
        "n5",
        "n6",
      ]);
      await world.album("n7");
      const [live] = await stream.until(upTo(7));
      expect(live?.data.envelope).toMatchObject({ sequence: 7, span: 1 });
    });

    test(`${as}: filtered positions move the cursor and cost a skip`, async () => {
      const world = await fresh(library);
      await using stream = await follow(world, { as, query: { types: "tag" } });
      await stream.next();
      await world.album("hidden");
      await world.album("hidden too");
      const [skip] = await stream.until(upTo(2));
      expect(skip).toMatchObject({ event: null, data: null });
      await world.insert("tag", { name: "seen" });
      const [seen] = await stream.until(upTo(3));
      expect(seen?.data.kind.data.resource.name).toBe("seen");
      await using behind = await follow(world, { as, query: { types: "tag", after: "0" } });
      const frames = await behind.until(upTo(3));
      expect(JSON.stringify(frames)).not.toContain("hidden");
      expect(frames.at(-1)?.event).toBe("ResourceChanged");
    });
  }

  test("without a cursor only what comes is sent; after= goes before Last-Event-ID", async () => {
    const world = await fresh(library);
    for (let n = 1; n <= 3; n += 1) await world.album(`n${n}`);
    await using live = await follow(world);
    await live.next();
    await using header = await follow(world, { headers: { "last-event-id": "2" } });
    await header.next();
    await using both = await follow(world, {
      headers: { "last-event-id": "2" },
      query: { after: "1" },
    });
    await both.next();
    await world.album("n4");
    const names = async (from: typeof live) =>
      (await from.until(upTo(4))).map((frame) => frame.data.kind.data.resource.name as string);
    expect(await names(live)).toEqual(["n4"]);
    expect(await names(header)).toEqual(["n3", "n4"]);
    expect(await names(both)).toEqual(["n2", "n3", "n4"]);
  });

  test("a cursor beyond the head, or of another history, gets one reset, and the stream goes on", async () => {
    const world = await fresh(library);
    await world.album("a");
    const { history_id } = world.created.body;
    const asked: Record<string, string>[] = [
      { after: "99" },
      { after: "1", history_id: createId() },
      { history_id: createId() },
    ];
    for (const query of asked) {
      await using stream = await follow(world, { query });
      expect((await stream.next()).event).toBe("hello");
      const reset = await stream.next();
      const head = await world.head();
      expect(reset).toMatchObject({
        event: "reset",
        data: { reason: "history_changed", head, oldest_sequence: 1, history_id },
      });
      await world.album("b");
      expect((await stream.until(upTo(head + 1))).map((frame) => frame.id)).toEqual([head + 1]);
    }
    await using same = await follow(world, { query: { after: "0", history_id } });
    await same.next();
    expect((await same.next()).event).toBe("ResourceChanged");
  });

  test("I8: a stream carries the token's types alone", async () => {
    const world = await fresh(library);
    const token = await world.target.tokenFor([
      { library: world.id, role: "reader", types: ["tag"] },
    ]);
    await using stream = await follow(world, { token });
    await stream.next();
    const changes = [insert("album", "hidden"), insert("tag", "seen")];
    await world.send("POST", "/batch", { body: { changes } });
    const frames = await stream.until(upTo(2));
    expect(JSON.stringify(frames)).not.toContain("hidden");
    expect(JSON.stringify(frames)).toContain("seen");
  });

  test("I6: twenty subscribers each see fifty concurrent commits, in order, once", async () => {
    const world = await fresh(library);
    const streams = await Promise.all(
      Array.from({ length: 20 }, (_, n) => follow(world, { as: encodings[n % 3] ?? "sse" })),
    );
    const seen = streams.map((one) => one.until(upTo(50)));
    await Promise.all(Array.from({ length: 50 }, (_, n) => world.album(`n${n}`)));
    for (const frames of await Promise.all(seen)) {
      const ids = frames.flatMap((frame) => frame.id ?? []);
      expect(ids).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    }
    for (const one of streams) await one[Symbol.asyncDispose]();
  });
};
