/**
 * Two services become one library. The phone is asked ("local"), the leader is the other ("remote").
 * Histories: `phone: 1@1 2@1` and `leader: 1@1` become one history; who does not lead follows it.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createPair, recordsOf, setupRequest, tokensKept } from "../support/pair.ts";
import type { Pair } from "../support/pair.ts";
import type { World } from "../support/world.ts";

async function join(pair: Pair, type: string, leader: "phone" | "node") {
  const begun = await pair.phone.send("POST", "/v1/sync-setup", setupRequest(pair, type, leader));
  expect(begun.body).toMatchObject({ devices_registered: true, pending_remote: false });
  await pair.phone.service.setup.settled();
  const job = await pair.phone.send("GET", `/v1/jobs/${begun.body.job_id}`);
  return job.body;
}

const names = async (world: World, at: string): Promise<string[]> => {
  const { body } = await world.send("GET", `${at}/resources/album?limit=1000`);
  return body.resources.map((one: { name: string }) => one.name).toSorted();
};

/** Lets the follower that a merge began catch up; in tests nobody drives it but the test. */
const settle = (world: World, id: string) => world.service.following.find(id)?.settle();

test("SETUP-06: MergeIntoRemote: the local library goes into the remote one, which it then follows", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  for (const name of ["a", "b"]) await phone.insertAlbum(name);
  await leader.insertAlbum("c");
  expect(await join(pair, "MergeIntoRemote", "node")).toMatchObject({
    status: "complete",
    progress: 2,
  });
  expect(await settle(phone, pair.libraryId)).toBe("live");
  expect(await names(leader, leader.at)).toEqual(["a", "b", "c"]);
  // The old id goes on as another name of the shared library, for tokens too.
  expect(await names(phone, phone.at)).toEqual(["a", "b", "c"]);
  expect((await phone.send("GET", phone.at)).body.id).toBe(pair.libraryId);
  const listed = (await phone.send("GET", "/v1/libraries")).body.libraries;
  expect(listed.map((one: { id: string }) => one.id)).toEqual([pair.libraryId]);
  const written = await phone.send("POST", `${phone.at}/commit`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "d" },
  });
  expect(written.status).toBe(200);
  expect(await names(leader, leader.at)).toEqual(["a", "b", "c", "d"]);
  await settle(phone, pair.libraryId);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(leader.library));
});

test("SETUP-06: MergeIntoLocal: the remote library goes into the local one, and its service follows", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  for (const name of ["b", "c"]) await leader.insertAlbum(name);
  expect((await join(pair, "MergeIntoLocal", "phone")).status).toBe("complete");
  const { id } = phone.library.state;
  expect(await settle(leader, id)).toBe("live");
  expect(await names(leader, leader.at)).toEqual(["a", "b", "c"]);
  await leader.send("POST", `${leader.at}/commit`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "d" },
  });
  expect(await names(phone, phone.at)).toEqual(["a", "b", "c", "d"]);
});

for (const chief of ["phone", "node"] as const) {
  test(`SETUP-06: CreateShared led by ${chief}: both go into a new library`, async () => {
    await using pair = await createPair();
    const { leader, phone } = pair;
    await phone.insertAlbum("a");
    await leader.insertAlbum("b");
    expect(await join(pair, "CreateShared", chief)).toMatchObject({ status: "complete" });
    const { id } = (await phone.send("GET", phone.at)).body;
    expect([phone.library.state.id, pair.libraryId]).not.toContain(id);
    await settle(chief === "phone" ? leader : phone, id);
    expect(await names(phone, phone.at)).toEqual(["a", "b"]);
    expect(await names(leader, leader.at)).toEqual(["a", "b"]);
    expect(await names(leader, `/v1/libraries/${id}`)).toEqual(["a", "b"]);
  });
}

test("SETUP-09: who leads must be one of the two, and fit the action", async () => {
  await using pair = await createPair();
  const ask = async (type: string, leader: string) => {
    const body = { ...setupRequest(pair, type, "node"), leader_device_id: leader };
    const { status, body: answer } = await pair.phone.send("POST", "/v1/sync-setup", body);
    return [status, answer.issues?.[0].path];
  };
  const refused = [400, "leader_device_id"];
  expect(await ask("CreateShared", "third")).toEqual(refused);
  expect(await ask("MergeIntoLocal", "node")).toEqual(refused);
  expect(await ask("MergeIntoRemote", "phone")).toEqual(refused);
});

test("what is written while the merge runs is merged too: commits, deletes and bulks", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  const gone = createId();
  await phone.insertAlbum("gone", gone);
  await phone.insertAlbum("a");
  const { send } = pair.wire;
  let count = 0;
  pair.wire.send = async (url, init) => {
    if (url.endsWith("/merge")) {
      count += 1;
      if (count === 1) {
        await phone.insertAlbum("late");
        await phone.send("POST", `${phone.at}/commit`, {
          resource_type: "album",
          operation: "delete",
          id: gone,
        });
      }
      if (count === 2) {
        await phone.app.request(`${phone.at}/bulk?resource_type=album`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${phone.token}`,
            "content-type": "application/x-ndjson",
          },
          body: JSON.stringify({ id: createId(), name: "bulk" }),
        });
      }
    }
    return send(url, init);
  };
  expect((await join(pair, "MergeIntoRemote", "node")).status).toBe("complete");
  expect(await names(leader, leader.at)).toEqual(["a", "bulk", "late"]);
});

test("I4: a commit that comes between the last look and the end is merged before the library ends", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const { send } = pair.wire;
  let asked = 0;
  pair.wire.send = async (url, init) => {
    if (url.endsWith("/hand-over")) {
      asked += 1;
      if (asked < 3) expect((await leader.insertAlbum(`late ${asked}`)).status).toBe(200);
    }
    const answer = await send(url, init);
    // The third answer is lost: asked again, the other side finds that it is done.
    if (url.endsWith("/hand-over") && asked === 3) throw new TypeError("The network is down.");
    return answer;
  };
  expect((await join(pair, "MergeIntoLocal", "phone")).status).toBe("complete");
  expect(asked).toBe(4);
  expect(await names(phone, phone.at)).toEqual(["a", "late 1", "late 2"]);
});

test("a library that has ended, and whose service could not follow yet, goes on from there", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("a");
  const { send } = pair.wire;
  let asked = 0;
  pair.wire.send = async (url, init) => {
    if (!url.endsWith("/hand-over")) return send(url, init);
    asked += 1;
    if (asked > 1) return send(url, init);
    pair.silence(true);
    const answer = await send(url, init);
    pair.silence(false);
    return answer;
  };
  expect((await join(pair, "MergeIntoLocal", "phone")).status).toBe("complete");
  expect(asked).toBe(2);
  expect(await settle(leader, phone.library.state.id)).toBe("live");
  expect(await names(leader, leader.at)).toEqual(["a"]);
});

test("a record that the other library refuses stops the merge, and both stay as they were", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await phone.library.database.write([{ sql: "UPDATE albums SET name = ''", args: [] }]);
  const job = await join(pair, "MergeIntoRemote", "node");
  expect(job.status).toBe("failed");
  expect(job.message).toContain("1 records were refused, so both libraries stay as they are");
  expect((await phone.insertAlbum("b")).status).toBe(200);
  expect(await names(leader, leader.at)).toEqual([]);
  expect(await tokensKept(phone)).toBe(0);
});

test("a merge that is stopped in the middle goes on when the service starts again", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  for (let index = 0; index < 450; index += 150) {
    await phone.send("POST", `${phone.at}/batch`, {
      changes: Array.from({ length: 150 }, (_, at) => ({
        resource_type: "album",
        operation: "insert",
        id: createId(),
        data: { name: `album ${String(index + at).padStart(3, "0")}` },
      })),
    });
  }
  const { send } = pair.wire;
  const reached = Promise.withResolvers<void>();
  let pages = 0;
  pair.wire.send = async (url, init) => {
    if (!url.endsWith("/merge")) return send(url, init);
    pages += 1;
    if (pages < 2) return send(url, init);
    reached.resolve();
    throw new TypeError("The network is down.");
  };
  const body = setupRequest(pair, "MergeIntoRemote", "node");
  const begun = await phone.send("POST", "/v1/sync-setup", body);
  await reached.promise;
  const at = phone.at;
  await using again = await pair.restartPhone();
  expect((await again.send("GET", `/v1/jobs/${begun.body.job_id}`)).body.status).toBe("running");
  pages = -100;
  await again.service.setup.settled();
  const { body: job } = await again.send("GET", `/v1/jobs/${begun.body.job_id}`);
  expect(job).toMatchObject({ status: "complete", progress: 450 });
  // It did not begin anew: one page was merged before, two after it.
  expect(pages).toBe(-98);
  await again.service.following.find(pair.libraryId)?.settle();
  expect(await names(again, at)).toHaveLength(450);
  expect(await names(leader, leader.at)).toHaveLength(450);
  expect(leader.library.state.head).toBe(450);
});

test("X-17: a registration the other side could not take is tried again, and says so meanwhile", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  pair.cut(true);
  const { body } = await phone.send(
    "POST",
    "/v1/sync-setup",
    setupRequest(pair, "RegisterOnly", "node"),
  );
  expect(body).toMatchObject({ success: false, devices_registered: false, pending_remote: true });
  const pending = await phone.send("GET", `/v1/jobs/${body.job_id}`);
  expect(pending.body).toMatchObject({ name: "register", status: "running" });
  pair.cut(false);
  await phone.service.setup.settled();
  expect((await phone.send("GET", `/v1/jobs/${body.job_id}`)).body.status).toBe("complete");
  expect((await leader.send("GET", `${pair.at}/devices`)).body.devices).toMatchObject([
    { id: "phone" },
  ]);
  expect((await phone.send("GET", `${phone.at}/devices`)).body.devices).toMatchObject([
    { id: "node" },
  ]);
  expect(await tokensKept(phone)).toBe(0);
});

test("joining what is joined already changes nothing, whichever way it is asked", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await phone.insertAlbum("a");
  await join(pair, "MergeIntoRemote", "node");
  await settle(phone, pair.libraryId);
  const { head } = leader.library.state;
  for (const [type, chief] of [
    ["MergeIntoRemote", "node"],
    ["MergeIntoLocal", "phone"],
  ] as const) {
    expect(await join(pair, type, chief)).toMatchObject({ status: "complete", progress: 0 });
  }
  expect(leader.library.state.head).toBe(head);
  expect(await names(phone, phone.at)).toEqual(["a"]);
});

test("two copies of one library that went apart become one again", async () => {
  await using pair = await createPair();
  const { leader, phone } = pair;
  await leader.insertAlbum("common");
  await pair.follow();
  await settle(phone, pair.libraryId);
  await phone.send("POST", `${pair.at}/leader/promote`);
  await phone.send("POST", `${pair.at}/commit`, {
    resource_type: "album",
    operation: "insert",
    id: createId(),
    data: { name: "phone's" },
  });
  await leader.insertAlbum("leader's");
  const begun = await phone.send("POST", "/v1/sync-setup", {
    ...setupRequest(pair, "MergeIntoRemote", "node"),
    local_library_id: pair.libraryId,
  });
  await phone.service.setup.settled();
  expect((await phone.send("GET", `/v1/jobs/${begun.body.job_id}`)).body.status).toBe("complete");
  expect(await settle(phone, pair.libraryId)).toBe("live");
  expect(await names(leader, pair.at)).toEqual(["common", "leader's", "phone's"]);
  expect(await recordsOf(await pair.replica())).toEqual(await recordsOf(leader.library));
});
