/** Pairing that an owner looks at: the code was read out, and still a person says who comes in (SEC-06). */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import { createPairing } from "../../src/library/pairing.ts";
import { createKey } from "../support/key.ts";
import { createWorld, tokenFor } from "../support/world.ts";
import type { World } from "../support/world.ts";

/** A device that has joined with a code for the library, and the proof that it holds its key. */
async function join(world: World, id = "phone") {
  const library_id = world.library.state.id;
  const key = await createKey();
  const invitation = { library_id, role: "reader", needs_approval: true };
  const { code } = (await world.send("POST", "/v1/pairing/codes", invitation)).body;
  const device = { id, name: "Phone", public_key: key.publicKey };
  const { challenge } = (await world.send("POST", "/v1/pairing/join", { code, device })).body;
  const proof = { device_id: id, signature: await key.sign(challenge) };
  return { key, confirm: () => world.send("POST", "/v1/pairing/confirm", proof) };
}

const waiting = async (world: World) =>
  (await world.send("GET", "/v1/pairing/requests")).body.requests;
const decide = (world: World, id: string, approve: unknown) =>
  world.send("POST", `/v1/pairing/requests/${id}`, { approve });

test("SEC-06: a device waits until an owner has seen it and lets it in", async () => {
  await using world = await createWorld();
  const { key, confirm } = await join(world);
  // Nobody is asked about a device that has proven nothing yet.
  expect(await waiting(world)).toEqual([]);
  const asked = await confirm();
  expect([asked.status, asked.body]).toEqual([202, { status: "waiting" }]);
  expect((await confirm()).status).toBe(202);
  expect((await world.send("GET", `${world.at}/devices`)).body.devices).toEqual([]);
  const [request, ...others] = await waiting(world);
  expect(others).toEqual([]);
  expect(request).toMatchObject({
    device: { id: "phone", name: "Phone", public_key: key.publicKey },
    grants: [{ library: world.library.state.id, role: "reader" }],
  });
  expect((await decide(world, request.id, true)).body).toEqual({ id: request.id, approved: true });
  const { status, body } = await confirm();
  expect(status).toBe(200);
  const headers = { authorization: `Bearer ${body.token}` };
  expect((await world.app.request(`${world.at}/log`, { headers })).status).toBe(200);
  expect([await waiting(world), (await confirm()).status]).toEqual([[], 401]);
});

test("SEC-06: a device that is sent away, or joins anew, gets nothing from what was decided", async () => {
  await using world = await createWorld();
  const refused = await join(world);
  await refused.confirm();
  const [first] = await waiting(world);
  await decide(world, first.id, false);
  expect((await refused.confirm()).status).toBe(401);

  const honest = await join(world);
  await honest.confirm();
  const [seen] = await waiting(world);
  // Another takes its name while the owner looks.
  const other = await join(world);
  await other.confirm();
  expect((await decide(world, seen.id, true)).status).toBe(404);
  expect([(await other.confirm()).status, (await honest.confirm()).status]).toEqual([202, 401]);
  // A wrong signature does not make a device that waits begin anew.
  const forged = { device_id: "phone", signature: btoa("x".repeat(64)) };
  expect((await world.send("POST", "/v1/pairing/confirm", forged)).status).toBe(401);
  expect((await other.confirm()).status).toBe(202);
  expect((await world.send("GET", `${world.at}/devices`)).body.devices).toEqual([]);
});

test("only an owner of what a device is to get sees it and decides, and says so in so many words", async () => {
  await using world = await createWorld();
  const { confirm } = await join(world);
  await confirm();
  const [{ id }] = await waiting(world);
  const library = world.library.state.id;
  for (const grant of [
    { library, role: "writer" },
    { library: createId(), role: "owner" },
  ] as const) {
    const authorization = `Bearer ${await tokenFor([grant])}`;
    const listed = await world.send("GET", "/v1/pairing/requests", undefined, { authorization });
    expect(listed.body.requests).toEqual([]);
    const path = `/v1/pairing/requests/${id}`;
    const denied = await world.send("POST", path, { approve: true }, { authorization });
    expect(denied.status).toBe(403);
  }
  for (const approve of [undefined, null, "true", 1]) {
    expect((await decide(world, id, approve)).status).toBe(400);
  }
  for (const none of [createId(), "phone", "%27", "x".repeat(500)]) {
    expect((await decide(world, none, true)).status).toBe(404);
  }
  const anonymous = { authorization: "" };
  const shown = await world.send("GET", "/v1/pairing/requests", undefined, anonymous);
  expect(shown.status).toBe(401);
  expect((await confirm()).status).toBe(202);
});

test("SEC-06: who is let in too late stays outside", async () => {
  let now = 0;
  const pairing = createPairing({ clock: { ...systemClock, monotonic: () => now } });
  const key = await createKey();
  const { code } = pairing.createCode([{ library: "a", role: "reader" }], true);
  const { challenge } = await pairing.join(code, { id: "d", name: "d", publicKey: key.publicKey });
  const signature = await key.sign(challenge);
  expect(await pairing.confirm("d", signature)).toBeNull();
  const [request] = pairing.waiting();
  expect(request?.expiresIn).toBe(300);
  now = 300_000;
  expect(pairing.waiting()).toEqual([]);
  expect(() => pairing.decide(request?.requestId ?? "", true)).toThrow("too late");
  await expect(pairing.confirm("d", signature)).rejects.toMatchObject({ code: "unauthorized" });
});

test("a key may come raw or as SPKI, in base64 or hexadecimal digits, or as PEM; a signature in either", async () => {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const [raw, spki] = await Promise.all(
    (["raw", "spki"] as const).map(async (form) =>
      Buffer.from(await crypto.subtle.exportKey(form, pair.publicKey)),
    ),
  );
  if (raw === undefined || spki === undefined) throw new Error("No key was made.");
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.toString("base64")}\n-----END PUBLIC KEY-----\n`;
  const hex = raw.toString("hex");
  const keys = [raw.toString("base64"), raw.toString("base64url"), hex, spki.toString("hex"), pem];
  for (const publicKey of keys) {
    const pairing = createPairing({ clock: systemClock });
    const { code } = pairing.createCode([{ library: "*", role: "reader" }], false);
    const { challenge } = await pairing.join(code, { id: "phone", name: "Phone", publicKey });
    const signed = await crypto.subtle.sign("Ed25519", pair.privateKey, Buffer.from(challenge));
    const signature = Buffer.from(signed).toString(publicKey === hex ? "hex" : "base64");
    expect(await pairing.confirm("phone", signature)).toMatchObject({ device: { publicKey } });
  }
});
