/** What a token may see and do of a bulk operation, also while it runs. */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createWorld, tokenFor } from "../support/world.ts";

const upload = { "content-type": "application/x-ndjson" };

test("I8: who may not read a type is not told which of its records a bulk met", async () => {
  await using world = await createWorld();
  const [id, token] = [createId(), createId()];
  await world.insertAlbum("secret", id);
  const headers = { authorization: `Bearer ${world.token}`, ...upload };
  const path = `${world.at}/bulk?resource_type=album&on_error=skip&token=${token}`;
  const body = JSON.stringify({ id, name: "other" });
  const answered = await world.app.request(path, { method: "POST", headers, body });
  expect(await answered.text()).toContain("secret");
  const library = world.library.state.id;
  const stateFor = async (type: string) => {
    const reader = await tokenFor([{ library, role: "reader", types: [type] }]);
    return world.send("GET", `${world.at}/bulk/${token}`, undefined, {
      authorization: `Bearer ${reader}`,
    });
  };
  const refused = await stateFor("tag");
  expect([refused.status, refused.body.reason]).toEqual([403, "type_not_granted"]);
  expect((await stateFor("album")).body).toMatchObject({ state: "complete", failed_count: 1 });
});

test("an upload ends when its token is revoked, and another token goes on with it", async () => {
  await using world = await createWorld({ limits: { bulkChunk: 1 } });
  const library = world.library.state.id;
  const writer = await tokenFor([{ library, role: "writer" }]);
  const token = createId();
  const records = ["a", "b", "c"].map((name) => ({ id: createId(), name }));
  const lines = records.map((record) => new TextEncoder().encode(`${JSON.stringify(record)}\n`));
  const path = `${world.at}/bulk?resource_type=tag&token=${token}`;
  const send = (bearer: string, body: BodyInit) =>
    world.app.request(path, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, ...upload },
      body,
    });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const parts = writable.getWriter();
  const answered = send(writer, readable);
  await parts.write(lines[0]);
  const state = async () => (await world.send("GET", `${world.at}/bulk/${token}`)).body;
  while ((await state())?.affected_count !== 1) await Bun.sleep(1);
  await world.send("POST", "/v1/revocations", { kind: "token", value: writer });
  await Promise.all([parts.write(lines[1]), parts.close()]).catch(() => {});
  const refused = await answered;
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "unauthorized", reason: "revoked" });
  expect(await state()).toMatchObject({ state: "interrupted", affected_count: 1 });
  const other = await tokenFor([{ library, role: "writer" }]);
  const whole = await send(other, records.map((record) => JSON.stringify(record)).join("\n"));
  expect(await whole.json()).toMatchObject({ state: "complete", affected_count: 3 });
});
