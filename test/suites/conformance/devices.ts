import { expect, test } from "bun:test";
import { createId } from "../../../src/base/id.ts";
import { problem } from "./world.ts";
import type { Topic } from "./world.ts";

/** Devices, and how far each of them is. */
export const devices: Topic = (library) => {
  test("DEV-02: a device is registered once, renamed, read, listed and revoked", async () => {
    const { send } = await library();
    const id = createId();
    const first = await send("POST", "/devices", { body: { id, name: "Desk" } });
    expect(first).toMatchObject({ status: 201, body: { id, name: "Desk", revoked_at: null } });
    const again = await send("POST", `/devices/${id}`, { body: { name: "Desk 2" } });
    expect(again).toMatchObject({ status: 201, body: { id, name: "Desk 2" } });
    const { body } = await send("GET", "/devices");
    expect(body.devices.filter((one: { id: string }) => one.id === id)).toHaveLength(1);
    expect((await send("DELETE", `/devices/${id}`)).status).toBe(204);
    expect((await send("GET", `/devices/${id}`)).body.revoked_at).toBeString();
    const other = { body: { id: createId(), name: "Desk 3" } };
    expect(await send("POST", `/devices/${id}`, other)).toMatchObject(problem(400, "invalid_body"));
    const unknown = await send("GET", `/devices/${createId()}`);
    expect(unknown).toMatchObject(problem(404, "not_found"));
  });

  test("SYNC-10: a device acknowledges how far it is, never past the head", async () => {
    const { send, album, head } = await library();
    await album("a");
    const device_id = createId();
    await send("POST", "/devices", { body: { id: device_id, name: "Phone" } });
    const sequence = await head();
    const told = await send("POST", "/positions", { body: { device_id, sequence, epoch: 1 } });
    expect(told).toMatchObject({
      status: 200,
      body: { device_id, sequence, needs_snapshot: false },
    });
    const { body } = await send("GET", "/positions");
    expect(body.positions).toContainEqual(
      expect.objectContaining({ device_id, sequence, epoch: 1, lag: 0 }),
    );
    const beyond = await send("POST", "/positions", {
      body: { device_id, sequence: sequence + 1_000 },
    });
    expect(beyond).toMatchObject(problem(410, "history_changed"));
  });

  test("a lease that was given back is taken again by the next write, under a higher epoch", async () => {
    const { send, album } = await library();
    await album("before");
    const { body: led } = await send("GET", "/leader");
    const released = await send("POST", "/leader/release");
    expect(released).toMatchObject({ status: 200, body: { is_self: false } });
    const { status, body } = await album("after");
    expect(status).toBe(200);
    expect(body.epoch).toBeGreaterThan(led.epoch);
    const promoted = await send("POST", "/leader/promote");
    expect(promoted).toMatchObject(problem(404, "not_found"));
  });

  test("conflicts are listed, and one that is not there cannot be resolved", async () => {
    const { send } = await library();
    expect(await send("GET", "/conflicts")).toMatchObject({ status: 200, body: { conflicts: [] } });
    const at = `/conflicts/${createId()}/resolve`;
    const unknown = await send("POST", at, { body: { choice: "local" } });
    expect(unknown).toMatchObject(problem(404, "not_found"));
    const bad = await send("POST", at, { body: { choice: "both" } });
    expect(bad).toMatchObject(problem(400, "invalid_body"));
  });
};
