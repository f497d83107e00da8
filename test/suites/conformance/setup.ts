import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { problem } from "./world.ts";
import type { Topic } from "./world.ts";

const encode = (bytes: ArrayBuffer) => Buffer.from(bytes).toString("base64");

/** Pairing, discovery and sync setup, as far as one service shows them. */
export const setup: Topic = (library) => {
  test("DEV-05: a code and a signature give a token for one library; the device acts as itself", async () => {
    const { api, at, id: library_id } = await library();
    const pair = (await crypto.subtle.generateKey("Ed25519", true, [
      "sign",
      "verify",
    ])) as CryptoKeyPair;
    const public_key = encode(await crypto.subtle.exportKey("raw", pair.publicKey));
    const { body: invited } = await api("POST", "/v1/pairing/codes", { body: { library_id } });
    expect(invited.expires_in).toBe(300);
    const id = createId();
    const device = { id, name: "Phone", public_key };
    const joining = { body: { code: invited.code, device }, token: null };
    const { body: joined } = await api("POST", "/v1/pairing/join", joining);
    const challenge = Buffer.from(joined.challenge, "base64");
    const signature = encode(await crypto.subtle.sign("Ed25519", pair.privateKey, challenge));
    const confirm = { body: { device_id: id, signature }, token: null };
    const { body: confirmed } = await api("POST", "/v1/pairing/confirm", confirm);
    const { token } = confirmed;
    expect(await api("POST", "/v1/pairing/join", joining)).toMatchObject(
      problem(401, "unauthorized"),
    );
    const write = (headers: Record<string, string>) =>
      api("POST", `${at}/commit`, {
        token,
        headers,
        body: {
          resource_type: "album",
          operation: "insert",
          id: createId(),
          data: { name: "paired" },
        },
      });
    expect((await write({})).status).toBe(200);
    expect((await write({ "x-device-id": id })).status).toBe(200);
    expect(await write({ "x-device-id": createId() })).toMatchObject(
      problem(403, "forbidden", { reason: "other_device" }),
    );
    expect(await api("GET", "/v1/libraries", { token })).toMatchObject(problem(403, "forbidden"));
  });

  test("SETUP-03: a service describes its libraries and their sizes", async () => {
    const { api, album, id } = await library();
    await album("a");
    const { status, body } = await api("GET", "/v1/sync-setup/discover");
    expect([status, body.is_online]).toEqual([200, true]);
    expect(body.device_id).toBeString();
    const [found] = body.libraries.filter((one: { id: string }) => one.id === id);
    expect(found).toMatchObject({ name: "home", statistics: { total_locations: 0 } });
    expect(found.statistics.total_entries).toBeGreaterThan(0);
  });

  test("SETUP-04: another service is asked with its own token, at an http address, or not at all", async () => {
    const { api, id } = await library();
    const discover = (url: string, headers: Record<string, string> = {}) =>
      api("GET", `/v1/sync-setup/discover?device_url=${url}`, { headers });
    expect(await discover("http://127.0.0.1:1")).toMatchObject(problem(400, "invalid_body"));
    const given = { "x-remote-token": "theirs" };
    expect(await discover("file:///etc/passwd", given)).toMatchObject(problem(400, "invalid_body"));
    expect(await discover("http://127.0.0.1:1", given)).toMatchObject({
      status: 200,
      body: { is_online: false, libraries: [] },
    });
    const request = {
      local_library_id: id,
      remote_library_id: createId(),
      remote_url: "http://127.0.0.1:1",
      action: { type: "RegisterOnly" },
      leader_device_id: "there",
    };
    expect(await api("POST", "/v1/sync-setup", { body: request })).toMatchObject(
      problem(400, "invalid_body"),
    );
    const { status, body } = await api("POST", "/v1/sync-setup", {
      body: { ...request, remote_token: "theirs" },
    });
    expect([status, body]).toMatchObject([
      200,
      { success: false, devices_registered: false, pending_remote: true },
    ]);
    expect(await api("GET", `/v1/jobs/${body.job_id}`)).toMatchObject({
      status: 200,
      body: { job_id: body.job_id, library_id: id, status: "running" },
    });
    expect(await api("GET", `/v1/jobs/${createId()}`)).toMatchObject(problem(404, "not_found"));
  });
};
