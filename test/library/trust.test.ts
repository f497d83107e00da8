/** Whom a service believes, and to whom it shows what: DOM-04, SETUP-04, SEC. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { mintToken } from "../../src/auth/token.ts";
import { systemClock } from "../../src/base/clock.ts";
import { SECRET, createWorld } from "../support/world.ts";

const as = async (subject: string) => ({
  authorization: `Bearer ${await mintToken({
    secret: SECRET,
    subject,
    grants: [{ library: "*", role: "writer" }],
    ttlSeconds: 600,
    clock: systemClock,
  })}`,
});

test("DOM-04: the token of a registered device acts as that device only, with the header and without", async () => {
  await using world = await createWorld();
  for (const id of ["desk", "phone"]) {
    await world.send("POST", `${world.at}/devices`, { id, name: id });
  }
  const id = createId();
  const insert = {
    resource_type: "location",
    operation: "insert",
    id,
    data: { device_id: "desk", name: "Pictures" },
  };
  const rename = { ...insert, operation: "update", data: { name: "Stolen" } };
  const write = async (body: object, subject: string, device?: string) => {
    const headers = { ...(await as(subject)), ...(device ? { "x-device-id": device } : {}) };
    const answer = await world.send("POST", `${world.at}/commit`, body, headers);
    return [answer.status, answer.body.reason ?? null];
  };
  expect(await write(insert, "desk")).toEqual([200, null]);
  expect(await write(rename, "phone", "desk")).toEqual([403, "other_device"]);
  expect(await write(rename, "phone")).toEqual([403, "not_the_owner"]);
  expect(await write(rename, "phone", "phone")).toEqual([403, "not_the_owner"]);
  expect(await write(rename, "a person", "phone")).toEqual([403, "not_the_owner"]);
  expect(await write(rename, "a person", "desk")).toEqual([200, null]);
  const position = { device_id: "desk", sequence: 1 };
  const moved = await world.send("POST", `${world.at}/positions`, position, await as("phone"));
  expect([moved.status, moved.body.reason]).toEqual([403, "other_device"]);
  // Revoked, it does not become a person who may name anybody, by an old token or a new one.
  const old = { ...(await as("phone")), "x-device-id": "desk" };
  await world.send("DELETE", `${world.at}/devices/phone`);
  const refused = await world.send("POST", `${world.at}/commit`, rename, old);
  expect([refused.status, refused.body.reason]).toEqual([401, "revoked"]);
  for (const at = systemClock.now(); systemClock.now() === at;) await Bun.sleep(1);
  expect(await write(rename, "phone", "desk")).toEqual([403, "other_device"]);
});

test("SETUP-04: a service shows another address the token that was named for it, and no other", async () => {
  const shown: (string | null)[] = [];
  const far = { device_id: "far", device_name: "Far", is_online: true, libraries: [] };
  let reply = () => Response.json(far);
  await using world = await createWorld({
    fetch: async (_url, init) => {
      shown.push(new Headers(init?.headers).get("authorization"));
      expect(init?.redirect).toBe("error");
      return reply();
    },
  });
  const discover = (headers: Record<string, string> = {}, url = "http://far") =>
    world.send("GET", `/v1/sync-setup/discover?device_url=${url}`, undefined, headers);
  const bare = await discover();
  expect([bare.status, bare.body.issues[0].path]).toEqual([400, "x-remote-token"]);
  const setup = await world.send("POST", "/v1/sync-setup", {
    local_library_id: world.library.state.id,
    remote_library_id: createId(),
    remote_url: "http://far",
    action: { type: "RegisterOnly" },
    leader_device_id: "far",
  });
  expect(setup.status).toBe(400);
  expect(shown).toEqual([]);
  const given = { "x-remote-token": "theirs" };
  expect((await discover(given)).body.device_id).toBe("far");
  expect(shown).toEqual(["Bearer theirs"]);
  for (const url of ["ftp://far", "file:///etc/passwd", "far", "http://"]) {
    expect((await discover(given, url)).status).toBe(400);
  }
  const one = { ...given, ...(await as("someone")) };
  expect((await discover(one)).status).toBe(403);
  expect(shown).toHaveLength(1);
  reply = () => new Response("x".repeat(9_000_000));
  expect((await discover(given)).body.reason).toBe("not_paired");
  reply = () => new Response("<html>");
  expect((await discover(given)).body.detail).toContain("is not a service like this one");
});

test("SEC-07: a library lets in as many devices as may be; one that is put out leaves its place", async () => {
  await using world = await createWorld({ limits: { devicesPerLibrary: 3 } });
  const register = async (id: string, name = id) => {
    const { status, body } = await world.send("POST", `${world.at}/devices`, { id, name });
    return [status, body.reason ?? body.name];
  };
  const comers = ["a", "b", "c", "d", "e", "f"];
  const answers = await Promise.all(comers.map((id) => register(id)));
  expect(answers.filter(([status]) => status === 201).length).toBe(3);
  expect(answers.filter(([, why]) => why === "device_limit").length).toBe(3);
  const { body } = await world.send("GET", `${world.at}/devices`);
  const [first, second] = body.devices.map(({ id }: { id: string }) => id);
  // Who is in may be renamed and comes again.
  expect(await register(first, "New name")).toEqual([201, "New name"]);
  expect(await register("late")).toEqual([403, "device_limit"]);
  await world.send("DELETE", `${world.at}/devices/${first}`);
  expect(await register("late")).toEqual([201, "late"]);
  expect(await register(first)).toEqual([403, "device_limit"]);
  await world.send("DELETE", `${world.at}/devices/${second}`);
  expect(await register(first)).toEqual([201, first]);
  const refused = await world.send("POST", `${world.at}/devices`, { id: "x" });
  expect(refused.body.detail).toContain("3 devices are registered");
  for (const id of ["", "x".repeat(100_000), "'; DROP TABLE devices; --", null, 1, {}, ["a"]]) {
    expect((await world.send("POST", `${world.at}/devices`, { id })).status).toBeOneOf([400, 403]);
  }
  expect(await world.count("SELECT count(*) FROM devices WHERE revoked_at IS NULL")).toBe(3);
});
