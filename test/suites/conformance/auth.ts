import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { follow } from "./stream-reader.ts";
import { problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** Who may do what (I8), and one-time tickets. */
export const auth: Topic = (library) => {
  test("without a token, or with a bad one, every route but health answers 401", async () => {
    const { api, at } = await library();
    const routes: [string, string][] = [
      ["GET", "/v1/libraries"],
      ["POST", "/v1/libraries"],
      ["GET", at],
      ["DELETE", at],
      ["GET", `${at}/log`],
      ["GET", `${at}/events`],
      ["GET", `${at}/snapshot`],
      ["GET", `${at}/checksum`],
      ["GET", `${at}/leader`],
      ["GET", `${at}/resources/album`],
      ["POST", `${at}/commit`],
      ["POST", `${at}/batch`],
      ["POST", `${at}/bulk?resource_type=album`],
      ["POST", `${at}/actions/file.delete`],
      ["POST", `${at}/query/album.list`],
      ["POST", `${at}/stream-tickets`],
    ];
    for (const [method, path] of routes) {
      const nobody = await api(method, path, { token: null });
      expect(nobody).toMatchObject(problem(401, "unauthorized", { retry: "never" }));
      expect(nobody.headers.get("www-authenticate")).toStartWith("Bearer");
      expect((await api(method, path, { token: "a.b.c" })).status).toBe(401);
    }
  });

  test("an expired token, another secret's, and one with `alg: none` are refused", async () => {
    const { api, at, target } = await library();
    const expired = await target.tokenFor([{ library: "*", role: "owner" }], -10);
    expect((await api("GET", at, { token: expired })).status).toBe(401);
    const [, claims] = target.ownerToken.split(".");
    const none = `${btoa('{"alg":"none","typ":"JWT"}').replaceAll("=", "")}.${claims}.`;
    expect((await api("GET", at, { token: none })).status).toBe(401);
    const forged = `${target.ownerToken.slice(0, -8)}AAAAAAAA`;
    expect((await api("GET", at, { token: forged })).status).toBe(401);
  });

  test("only an owner of the whole service lists its libraries and creates them", async () => {
    const { api, id, target } = await library();
    for (const library of [id, "*"]) {
      for (const role of ["reader", "writer", "owner"] as const) {
        if (library === "*" && role === "owner") continue;
        const token = await target.tokenFor([{ library, role }]);
        const created = await api("POST", "/v1/libraries", { token, body: { name: "mine" } });
        expect(created).toMatchObject(problem(403, "forbidden"));
        const listed = await api("GET", "/v1/libraries", { token });
        expect(listed).toMatchObject(problem(403, "forbidden"));
      }
    }
    expect((await api("GET", "/v1/libraries")).status).toBe(200);
  });

  test("a reader reads and cannot write; a writer writes and cannot delete the library", async () => {
    const { api, send, commit, id, at, target } = await library();
    const reader = await target.tokenFor([{ library: id, role: "reader" }]);
    const writer = await target.tokenFor([{ library: id, role: "writer" }]);
    const change = () => ({
      resource_type: "album",
      operation: "insert",
      id: createId(),
      data: { name: "a" },
    });
    expect((await send("GET", "/log", { token: reader })).status).toBe(200);
    const refused = await commit(change(), { token: reader });
    expect(refused).toMatchObject(problem(403, "forbidden"));
    expect((await commit(change(), { token: writer })).status).toBe(200);
    expect(await api("DELETE", at, { token: writer })).toMatchObject(problem(403, "forbidden"));
    for (const method of ["GET", "POST"]) {
      const ask = { token: writer, ...(method === "POST" ? { body: { name: "x" } } : {}) };
      expect(await api(method, "/v1/libraries", ask)).toMatchObject(problem(403, "forbidden"));
    }
  });

  test("I8: a token for one library says nothing of another, even whether it exists", async () => {
    const { api, at, target } = await library();
    const token = await target.tokenFor([{ library: createId(), role: "owner" }]);
    expect(await api("GET", at, { token })).toMatchObject(problem(403, "forbidden"));
    expect(await api("GET", `/v1/libraries/${createId()}`, { token })).toMatchObject(
      problem(403, "forbidden"),
    );
  });

  test("I8: a token for some types reads and writes these alone, on every route", async () => {
    const { send, insert, id, target } = await library();
    await insert("album", { name: "hidden" });
    const grants = [{ library: id, role: "writer", types: ["tag"] }] as const;
    const token = await target.tokenFor(grants);
    await send("POST", "/commit", {
      token,
      body: { resource_type: "tag", operation: "insert", id: createId(), data: { name: "seen" } },
    });
    expect((await send("GET", "/resources/album", { token })).status).toBe(403);
    expect((await send("GET", "/resources/tag", { token })).body.resources).toHaveLength(1);
    expect((await send("POST", "/query/album.list", { token, body: {} })).status).toBe(403);
    const { entries } = (await send("GET", "/log", { token })).body;
    expect(new Set(entries.map((entry: { model_type: string }) => entry.model_type))).toEqual(
      new Set(["tag"]),
    );
    expect((await send("GET", "/snapshot", { token })).body).not.toContain("hidden");
    expect(Object.keys((await send("GET", "/checksum", { token })).body.checksums)).toEqual([
      "tag",
    ]);
    const change = { operation: "insert", id: createId(), data: { name: "x" } };
    const batch = [
      { resource_type: "tag", ...change },
      { resource_type: "album", ...change, id: createId() },
    ];
    expect((await send("POST", "/batch", { token, body: { changes: batch } })).status).toBe(403);
    expect((await send("GET", "/resources/tag", { token })).body.resources).toHaveLength(1);
  });

  test("a ticket opens one stream of its library, once, for reading", async () => {
    const world = await library();
    const { send, api, at, id, target } = world;
    const token = await target.tokenFor([{ library: id, role: "reader" }]);
    const { status, body } = await send("POST", "/stream-tickets", { token });
    expect([status, body.expires_in]).toEqual([200, 60]);
    {
      await using stream = await follow(world, { token: null, query: { ticket: body.ticket } });
      expect((await stream.next()).event).toBe("hello");
    }
    const path = `${at}/events?ticket=${body.ticket}`;
    expect(await api("GET", path, { token: null })).toMatchObject(problem(401, "unauthorized"));
    expect((await api("GET", `${at}/log?ticket=${body.ticket}`, { token: null })).status).toBe(401);
    expect((await api("GET", `${at}/events?ticket=guess`, { token: null })).status).toBe(401);
  });
};
