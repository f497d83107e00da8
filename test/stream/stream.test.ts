import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld } from "../support/world.ts";
import type { World } from "../support/world.ts";
import { readFrames, readUntil } from "../support/events.ts";

function open(world: World, query: string, headers: Record<string, string> = {}) {
  return world.app.request(`${world.at}/events?encoding=json&${query}`, {
    headers: { authorization: `Bearer ${world.token}`, ...headers },
  });
}

test("I6: a client that reconnects at random sees every position once, in order", async () => {
  await using world = await createWorld({ limits: { ringEvents: 32 } });
  const total = 400;
  const writer = (async () => {
    for (let done = 0; done < total; done += 8) {
      await Promise.all(
        Array.from({ length: 8 }, (_, index) => world.insertAlbum(`${done + index}`)),
      );
    }
  })();
  const seen: number[] = [];
  let cursor = 0;
  for (let attempt = 0; cursor < total; attempt += 1) {
    const wanted = Math.min(total, cursor + 1 + ((attempt * 7) % 61));
    const response = await open(world, "", { "last-event-id": String(cursor) });
    for (const { envelope } of await readUntil(response, wanted)) {
      const { sequence = 0, span = 0 } = envelope;
      expect(sequence - span).toBe(cursor);
      seen.push(sequence);
      cursor = sequence;
    }
  }
  await writer;
  expect(seen).toEqual(await world.sequences());
});

test("I6: a reader that knows only ids loses nothing, though it leaves before its first event, or after a reset", async () => {
  await using world = await createWorld();
  await world.insertAlbum("before");
  /** What an EventSource would send when it connects again. */
  const idAfter = async (frameCount: number, headers: Record<string, string> = {}) => {
    let id = headers["last-event-id"];
    let count = 0;
    for await (const frame of readFrames(await open(world, "", headers))) {
      id = frame.id ?? id;
      if ((count += 1) === frameCount) break;
    }
    return id;
  };
  expect(await idAfter(1)).toBe("1");
  // What was asked for stands.
  expect(await idAfter(1, { "last-event-id": "0" })).toBe("0");
  expect(await idAfter(2, { "last-event-id": "0" })).toBe("1");
  // Of another history: told of the reset, it goes on behind it, and not before.
  expect(await idAfter(1, { "last-event-id": "9" })).toBe("9");
  expect(await idAfter(2, { "last-event-id": "9" })).toBe("1");
});

test("catch-up sends a record that changed often once, and its span covers what it dropped", async () => {
  await using world = await createWorld();
  const id = createId();
  await world.insertAlbum("0", id);
  for (const name of ["1", "2", "3"]) {
    await world.send("POST", `${world.at}/commit`, {
      resource_type: "album",
      operation: "update",
      id,
      data: { name },
    });
  }
  await world.insertAlbum("other");
  const events = await readUntil(await open(world, "after=0"), 5);
  expect(events.map(({ envelope }) => [envelope.sequence, envelope.span])).toEqual([
    [4, 4],
    [5, 1],
  ]);
  expect(events[0]?.kind.data["resource"]).toMatchObject({ name: "3", version: 4 });
});

test("a filter leaves out types but not positions", async () => {
  await using world = await createWorld();
  const stream = await open(world, "after=0&types=tag");
  await world.insertAlbum("a");
  await world.send("POST", `${world.at}/commit`, {
    resource_type: "tag",
    operation: "insert",
    id: createId(),
    data: { name: "t" },
  });
  await world.insertAlbum("b");
  const ids: string[] = [];
  for await (const { id, event } of readFrames(stream)) {
    if (event !== "hello") ids.push(`${event ?? "skip"} ${id ?? ""}`);
    if (Number(id) === 3) break;
  }
  expect(ids.at(-1)).toBe("skip 3");
  expect(ids.filter((line) => line.startsWith("Resource"))).toEqual(["ResourceChanged 2"]);
});

test("a cursor of another history, or beyond the head, is told to start afresh", async () => {
  await using world = await createWorld();
  await world.insertAlbum("a");
  for (const query of ["after=99", `after=1&history_id=${createId()}`]) {
    const events: string[] = [];
    for await (const { event, data } of readFrames(await open(world, query))) {
      events.push(`${event} ${event === "reset" ? JSON.parse(data ?? "{}").reason : ""}`);
      if (events.length === 2) break;
    }
    expect(events).toEqual(["hello ", "reset history_changed"]);
  }
});

test("I9: a reader that never reads is handed a bounded number of bytes", async () => {
  await using world = await createWorld({ limits: { subscriberBytes: 4_096 } });
  const stuck = await open(world, "after=0");
  await Promise.all(Array.from({ length: 300 }, (_, index) => world.insertAlbum(`album ${index}`)));
  const events = await readUntil(stuck, 300);
  expect(events.length).toBe(300);
});

test("deleting a library says so to whoever listens, and ends the stream", async () => {
  await using world = await createWorld();
  const stream = await open(world, "");
  const frames: (string | null)[] = [];
  const reading = (async () => {
    for await (const { event } of readFrames(stream)) frames.push(event);
  })();
  expect((await world.send("DELETE", world.at)).status).toBe(204);
  await reading;
  expect(frames).toEqual(["hello", "LibraryClosed", "goodbye"]);
  expect((await world.send("GET", world.at)).status).toBe(404);
});

test("EVT-16: an event of one record takes less than a kilobyte, and of a hundred less than 50", async () => {
  await using world = await createWorld();
  const file = (name: string) => ({
    resource_type: "file",
    operation: "insert",
    id: createId(),
    data: { location_id: createId(), name, extension: "jpg", size: 1_234_567, mime: "image/jpeg" },
  });
  await world.send("POST", `${world.at}/commit`, file("one.jpg"));
  const changes = Array.from({ length: 100 }, (_, index) => file(`picture ${index}.jpg`));
  await world.send("POST", `${world.at}/batch`, { changes });
  const events = await readUntil(
    await world.app.request(`${world.at}/events?encoding=json&after=0`, {
      headers: { authorization: `Bearer ${world.token}` },
    }),
    101,
  );
  const sizes = events.map((event) => JSON.stringify(event).length);
  expect(sizes).toHaveLength(2);
  expect(sizes[0]).toBeLessThan(1_024);
  expect(sizes[1]).toBeLessThan(50 * 1_024);
});
