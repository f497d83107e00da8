import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { follow } from "./stream-reader.ts";
import { createLibrary, problem } from "./world.ts";
import type { Topic } from "./world.ts";

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Libraries and who leads them. */
export const libraries: Topic = (library) => {
  test("a new library answers 201 with everything it is", async () => {
    const { created } = await library();
    const { body } = created;
    expect(Object.keys(body).toSorted()).toEqual([
      "created_at",
      "description",
      "epoch",
      "head",
      "history_id",
      "id",
      "leader_device_id",
      "name",
      "oldest_sequence",
    ]);
    expect(body.id).toMatch(uuid);
    expect(body.history_id).toMatch(uuid);
    expect(body).toMatchObject({ name: "home", description: null, head: 0, oldest_sequence: 1 });
    expect(body.epoch).toBeGreaterThanOrEqual(1);
    expect(body.leader_device_id).toBeString();
    expect(body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("a caller may name the library's id, once; a bad name or id gets 400", async () => {
    const { api } = await library();
    const id = createId();
    const body = { name: "named", id, description: "d" };
    const made = await api("POST", "/v1/libraries", { body });
    expect([made.status, made.body.id, made.body.description]).toEqual([201, id, "d"]);
    const again = await api("POST", "/v1/libraries", { body });
    expect(again).toMatchObject(problem(409, "already_exists"));
    for (const bad of [
      {},
      { name: "" },
      { name: 1 },
      { name: "x".repeat(10_000) },
      { name: "a", id: "7" },
    ]) {
      expect(await api("POST", "/v1/libraries", { body: bad })).toMatchObject(
        problem(400, "invalid_body"),
      );
    }
  });

  test("libraries are listed in pages, and read one by one, whatever the case of the id", async () => {
    const { api, id, at } = await library();
    const seen: string[] = [];
    for (let path = "/v1/libraries?limit=1"; ;) {
      const { body } = await api("GET", path);
      for (const one of body.libraries) seen.push(one.id);
      if (body.next_cursor === null) break;
      path = `/v1/libraries?limit=1&after=${body.next_cursor}`;
    }
    expect(seen).toContain(id);
    expect(new Set(seen).size).toBe(seen.length);
    const one = await api("GET", at);
    expect(one.body).toMatchObject({ id, name: "home" });
    expect((await api("GET", `/v1/libraries/${id.toUpperCase()}`)).body.id).toBe(id);
  });

  test("deleting a library says LibraryClosed to its streams, ends them, and is final", async () => {
    const { target } = await library();
    const doomed = await createLibrary(target);
    await doomed.album("a");
    await using stream = await follow(doomed);
    expect((await stream.next()).event).toBe("hello");
    const deleted = await doomed.api("DELETE", doomed.at);
    expect([deleted.status, deleted.body]).toEqual([204, null]);
    const rest = await stream.rest();
    expect(rest.map((frame) => frame.event)).toContain("LibraryClosed");
    expect(await doomed.api("GET", doomed.at)).toMatchObject(problem(404, "not_found"));
    expect(await doomed.api("DELETE", doomed.at)).toMatchObject(problem(404, "not_found"));
    expect(await doomed.album("b")).toMatchObject(problem(404, "not_found"));
  });

  test("the leader of a library is known, with the rest of its lease", async () => {
    const { send, created } = await library();
    const { status, body } = await send("GET", "/leader");
    expect(status).toBe(200);
    expect(Object.keys(body).toSorted()).toEqual([
      "epoch",
      "is_self",
      "leader_device_id",
      "leader_url",
      "lease_expires_in_ms",
    ]);
    expect(body).toMatchObject({
      is_self: true,
      leader_device_id: created.body.leader_device_id,
      epoch: created.body.epoch,
    });
    expect(body.lease_expires_in_ms).toBeGreaterThan(0);
  });
};
