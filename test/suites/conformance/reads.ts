import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { MSGPACK, createLibrary, problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** Records, checksums, and reading one's writes. */
export const reads: Topic = (library) => {
  test("a record is read with its version as ETag, in JSON and msgpack", async () => {
    const { album, commit, send } = await library();
    const id = createId();
    await album("read me", id);
    await commit({ resource_type: "album", operation: "update", id, data: { name: "read" } });
    for (const accept of ["application/json", MSGPACK]) {
      const { status, headers, body } = await send("GET", `/resources/album/${id}`, {
        headers: { accept },
      });
      expect([status, headers.get("etag")?.replaceAll('"', "")]).toEqual([200, "2"]);
      expect(headers.get("content-type")).toStartWith(accept);
      expect(body).toEqual({ id, version: 2, name: "read", description: null, cover_id: null });
    }
    const upper = await send("GET", `/resources/album/${id.toUpperCase()}`);
    expect(upper.body.id).toBe(id);
  });

  test("If-None-Match answers 304 while the version is the same, and HEAD answers no body", async () => {
    const { album, commit, send } = await library();
    const id = createId();
    await album("once", id);
    const path = `/resources/album/${id}`;
    const ask = (tag: string) => send("GET", path, { headers: { "if-none-match": tag } });
    for (const tag of ['"1"', 'W/"1"', '"7", "1"']) {
      const same = await ask(tag);
      expect([same.status, same.body, same.headers.get("etag")]).toEqual([304, null, '"1"']);
    }
    expect((await ask('"2"')).status).toBe(200);
    await commit({ resource_type: "album", operation: "update", id, data: { name: "twice" } });
    const changed = await ask('"1"');
    expect([changed.status, changed.body.name]).toEqual([200, "twice"]);
    for (const head of [path, "/log", "/events", "/snapshot"]) {
      const { status, body, headers } = await send("HEAD", head);
      expect([head, status, body]).toEqual([head, 200, null]);
      // Nobody is told of a body of no bytes, which GET does not answer.
      expect(headers.get("content-length")).not.toBe("0");
    }
    const [got, head] = [await send("GET", path), await send("HEAD", path)];
    expect(head.headers.get("etag")).toBe(got.headers.get("etag"));
    expect(head.headers.get("content-length")).toBe(got.headers.get("content-length"));
  });

  test("records are listed in pages that neither skip nor repeat", async () => {
    const { target } = await library();
    const { album, send } = await createLibrary(target);
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) ids.push((await album(`a${n}`)).body.resource.id);
    const seen: string[] = [];
    for (let after = ""; ;) {
      const { body } = await send("GET", `/resources/album?limit=3&after=${after}`);
      expect(body.sequence).toBe(7);
      seen.push(...body.resources.map((one: { id: string }) => one.id));
      if (body.next_cursor === null) break;
      after = body.next_cursor;
    }
    expect(seen).toEqual(ids.toSorted());
    expect((await send("GET", "/resources/tag")).body.resources).toEqual([]);
    for (const limit of ["0", "-1", "x"]) {
      expect(await send("GET", `/resources/album?limit=${limit}`)).toMatchObject(
        problem(400, "invalid_body"),
      );
    }
  });

  test("min_sequence: what this node has is answered at once, what it awaits within the wait, else 503", async () => {
    const { album, send, head } = await library();
    const now = await head();
    expect((await send("GET", `/resources/album?min_sequence=${now}`)).status).toBe(200);
    const early = send("GET", `/log?min_sequence=${now + 1}&after=${now}`);
    await album("awaited");
    const answer = await early;
    expect([answer.status, answer.body.entries.length]).toEqual([200, 1]);
    const never = await send("GET", `/resources/album?min_sequence=${now + 1_000_000}`);
    expect(never.status).toBe(503);
    expect(never.body.retry).toBe("later");
    expect(Number(never.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await send("GET", "/resources/album?min_sequence=x")).status).toBe(400);
  }, 15_000);

  test("checksums say count and sum of each type, move with a change, and agree with another path to the same state", async () => {
    const { target } = await library();
    const one = await createLibrary(target);
    const two = await createLibrary(target);
    const read = async (world: typeof one) => (await world.send("GET", "/checksum")).body;
    const empty = await read(one);
    expect(empty.sequence).toBe(0);
    expect(empty.checksums.album).toEqual({ count: 0, sum: 0 });
    const [a, b] = [createId(), createId()];
    await one.album("a", a);
    await one.album("b", b);
    await two.album("b", b);
    await two.album("a", a);
    const [left, right] = [await read(one), await read(two)];
    expect(left.checksums.album.count).toBe(2);
    expect(left.checksums).toEqual(right.checksums);
    await two.commit({ resource_type: "album", operation: "update", id: a, data: { name: "c" } });
    expect((await read(two)).checksums.album.sum).not.toBe(left.checksums.album.sum);
    const narrow = await one.send("GET", "/checksum?types=album,tag&at=2");
    expect(Object.keys(narrow.body.checksums).toSorted()).toEqual(["album", "tag"]);
    expect(narrow.body.sequence).toBe(2);
  });

  test("a record of another library is not there", async () => {
    const { album, target } = await library();
    const id = createId();
    await album("here", id);
    const other = await createLibrary(target);
    expect(await other.send("GET", `/resources/album/${id}`)).toMatchObject(
      problem(404, "not_found"),
    );
  });
};
