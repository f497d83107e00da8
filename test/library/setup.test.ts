import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createKey } from "../support/key.ts";
import { createPair, recordsOf } from "../support/pair.ts";
import { createWorld } from "../support/world.ts";

test("DEV-05: a code and the device's signature give a token for what it was invited to", async () => {
  await using world = await createWorld();
  const library_id = world.library.state.id;
  const key = await createKey();
  const { body } = await world.send("POST", "/v1/pairing/codes", { library_id, role: "reader" });
  expect(body.expires_in).toBe(300);
  const device = { id: "phone", name: "Phone", public_key: key.publicKey };
  const joined = await world.send("POST", "/v1/pairing/join", { code: body.code, device });
  const signature = await key.sign(joined.body.challenge);
  const confirm = { device_id: "phone", signature };
  const confirmed = await world.send("POST", "/v1/pairing/confirm", confirm);
  const headers = { authorization: `Bearer ${confirmed.body.token}` };
  expect((await world.app.request(`${world.at}/log`, { headers })).status).toBe(200);
  const write = await world.app.request(`${world.at}/commit`, {
    method: "POST",
    headers,
    body: "{}",
  });
  expect(write.status).toBe(403);
  const again = await world.send("POST", "/v1/pairing/join", { code: body.code, device });
  expect(again.status).toBe(401);
  expect((await world.send("POST", "/v1/pairing/confirm", confirm)).status).toBe(401);
});

test("another key's signature is refused, and a sixth attempt within a minute has to wait", async () => {
  await using world = await createWorld();
  const [key, other] = [await createKey(), await createKey()];
  const { body } = await world.send("POST", "/v1/pairing/codes", {});
  const device = { id: "phone", name: "Phone", public_key: key.publicKey };
  const joined = await world.send("POST", "/v1/pairing/join", { code: body.code, device });
  const signature = await other.sign(joined.body.challenge);
  const refused = await world.send("POST", "/v1/pairing/confirm", {
    device_id: "phone",
    signature,
  });
  expect(refused.status).toBe(401);
  const statuses: number[] = [];
  for (let left = 5; left > 0; left -= 1) {
    statuses.push(
      (await world.send("POST", "/v1/pairing/join", { code: "AAAAAAAA", device })).status,
    );
  }
  expect(statuses).toEqual([401, 401, 401, 401, 429]);
});

test("SETUP: devices discover each other, register on both sides, and say when one is away", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const discover = () =>
    phone.send("GET", "/v1/sync-setup/discover?device_url=http://leader", undefined, {
      "x-remote-token": leader.token,
    });
  await leader.insertAlbum("a");
  const seen = await discover();
  expect(seen.body).toMatchObject({ device_id: "node", is_online: true });
  expect(seen.body.libraries[0].statistics).toMatchObject({ total_entries: 1, device_count: 0 });
  const request = {
    local_library_id: phone.library.state.id,
    remote_library_id: pair.libraryId,
    remote_url: "http://leader",
    remote_token: leader.token,
    action: { type: "RegisterOnly" },
    leader_device_id: "node",
  };
  const wrong = await phone.send("POST", "/v1/sync-setup", {
    ...request,
    leader_device_id: "third",
  });
  expect(wrong.body.detail).toBe("Leader device must be either local or remote device");
  for (const _ of [1, 2]) {
    const done = await phone.send("POST", "/v1/sync-setup", request);
    expect(done.body).toMatchObject({ devices_registered: true, pending_remote: false });
  }
  expect((await leader.send("GET", `${pair.at}/devices`)).body.devices).toMatchObject([
    { id: "phone" },
  ]);
  expect((await phone.send("GET", `${phone.at}/devices`)).body.devices).toMatchObject([
    { id: "node" },
  ]);
  pair.cut(true);
  const away = await phone.send("POST", "/v1/sync-setup", request);
  expect(away.body).toMatchObject({
    success: false,
    devices_registered: false,
    pending_remote: true,
  });
  const offline = await discover();
  expect(offline.body).toMatchObject({ is_online: false, libraries: [] });
});

test("SETUP-16: a merge takes what is newer, respects tombstones and may be repeated", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const [newer, older, gone, theirs] = [createId(), createId(), createId(), createId()];
  const change = (id: string, operation: string, name?: string) => ({
    resource_type: "album",
    operation,
    id,
    ...(name === undefined ? {} : { data: { name } }),
  });
  const commit = (world: typeof leader, one: object) =>
    world.send("POST", `${world.at}/commit`, one);
  await commit(leader, change(newer, "insert", "old"));
  await commit(leader, change(newer, "update", "newer there"));
  await commit(leader, change(older, "insert", "older there"));
  await commit(leader, change(gone, "insert", "was deleted here"));
  await commit(leader, change(theirs, "insert", "only there"));
  await commit(phone, change(newer, "insert", "older here"));
  await commit(phone, change(older, "insert", "x"));
  await commit(phone, change(older, "update", "newer here"));
  await commit(phone, change(gone, "insert", "x"));
  await commit(phone, change(gone, "delete"));
  const request = {
    local_library_id: phone.library.state.id,
    remote_library_id: pair.libraryId,
    remote_url: "http://leader",
    remote_token: leader.token,
    action: { type: "MergeIntoLocal" },
    leader_device_id: "phone",
  };
  const started = await phone.send("POST", "/v1/sync-setup", request);
  await phone.service.setup.settled();
  const job = await phone.send("GET", `/v1/jobs/${started.body.job_id}`);
  expect(job.body).toMatchObject({ status: "complete", progress: 2, message: "2 records merged." });
  const names = (await recordsOf(phone.library))["albums"] as unknown[][];
  expect(names.map((row) => String(row[2])).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    "newer here",
    "newer there",
    "only there",
  ]);
  const { head } = phone.library.state;
  await phone.send("POST", "/v1/sync-setup", request);
  await phone.service.setup.settled();
  expect(phone.library.state.head).toBe(head);
});
