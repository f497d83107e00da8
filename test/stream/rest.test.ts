/**
 * `rest` of the envelope is not in the contract: a reader that knows only `sequence` and `span` must
 * lose nothing, wherever its connection ends, also between two events of one transaction.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import type { WireEvent } from "../../src/stream/event.ts";
import { readFrames } from "../support/events.ts";
import { createWorld } from "../support/world.ts";

/** A reader of the contract alone: records by key, and the position it can vouch for. */
function createStranger() {
  const records = new Map<string, unknown>();
  let cursor = 0;
  const apply = ({ envelope, kind }: WireEvent): void => {
    const { sequence = 0, span = 1 } = envelope;
    // Neither a gap nor anything twice: an event begins exactly where the reader stands.
    expect([sequence, sequence - span]).toEqual([sequence, cursor]);
    cursor = sequence;
    const { resource_type: type, resource, resources, deleted_ids, resource_id } = kind.data;
    const changed = (resources ?? [resource]) as ({ id: string } | undefined)[];
    for (const one of changed) if (one !== undefined) records.set(`${String(type)}:${one.id}`, one);
    const deleted = (deleted_ids ?? []) as string[];
    for (const id of kind.type === "ResourceDeleted" ? [String(resource_id)] : deleted) {
      records.delete(`${String(type)}:${id}`);
    }
  };
  return {
    records,
    apply,
    get cursor() {
      return cursor;
    },
  };
}

test("I6: a reader that ignores `rest` loses nothing, though it leaves in the middle of transactions", async () => {
  await using world = await createWorld();
  const [album, tag, file] = [createId(), createId(), createId()];
  const insert = (resource_type: string, id: string, data: object) => ({
    resource_type,
    operation: "insert",
    id,
    data,
  });
  const place = { location_id: createId(), name: "f", size: 1 };
  const transactions = [
    [insert("album", album, { name: "a" }), insert("tag", tag, { name: "t" })],
    [
      insert("file", file, place),
      insert("file_tag", createId(), { file_id: file, tag_id: tag }),
      insert("album_item", createId(), { album_id: album, file_id: file, position: 1 }),
      { resource_type: "album", operation: "update", id: album, data: { name: "b" } },
    ],
    [
      { resource_type: "tag", operation: "delete", id: tag },
      insert("tag", createId(), { name: "u" }),
      insert("album", createId(), { name: "c" }),
    ],
  ];
  for (const changes of transactions) {
    expect((await world.send("POST", `${world.at}/batch`, { changes })).status).toBe(200);
  }
  const { head } = world.library.state;
  const stranger = createStranger();
  let connectionCount = 0;
  let cutCount = 0;
  while (stranger.cursor < head) {
    connectionCount += 1;
    const stream = await world.app.request(`${world.at}/events?encoding=json`, {
      headers: {
        authorization: `Bearer ${world.token}`,
        "last-event-id": String(stranger.cursor),
      },
    });
    for await (const { event, data } of readFrames(stream)) {
      if (data === null || !event?.startsWith("Resource")) continue;
      const { envelope, kind } = JSON.parse(data) as WireEvent;
      if (envelope.rest !== undefined) cutCount += 1;
      stranger.apply({ envelope, kind });
      // One event, and it is gone.
      break;
    }
  }
  expect(cutCount).toBeGreaterThan(3);
  expect(connectionCount).toBeGreaterThan(cutCount);
  const stored = new Map<string, unknown>();
  for (const { type } of world.service.registry.resources) {
    const { body } = await world.send("GET", `${world.at}/resources/${type}`);
    for (const one of body.resources) stored.set(`${type}:${one.id}`, one);
  }
  expect(stored.size).toBe(6);
  expect(stranger.records).toEqual(stored);
});
