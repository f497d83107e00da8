/** `syncline follow` as a person starts it: before a leader that is down, and with several nodes to ask. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "../../src/base/id.ts";
import { startCli } from "../support/cli-process.ts";
import type { CliProcess } from "../support/cli-process.ts";
import { freePorts } from "../support/sqld.ts";
import { tokenFor } from "../support/world.ts";

/** Two nodes on the same files, of which one is started, and a library. */
async function createPlace() {
  const directory = await mkdtemp(join(tmpdir(), "syncline-follow-"));
  const token = await tokenFor([{ library: "*", role: "owner" }]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ports = freePorts(2);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const running = new Set<CliProcess>();
  const start = async (words: readonly string[], env: Record<string, string>) => {
    const one = await startCli(words, { env: { DURABILITY: "normal", ...env } });
    running.add(one);
    return one;
  };
  const node = (index: number): Promise<CliProcess> =>
    start(["start"], {
      PORT: String(ports[index]),
      NODE_URL: urls[index] ?? "",
      DATABASE_URL: `file:${directory}/leader/{database}.db`,
      LEASE_MS: "1500",
    });
  const id = createId();
  const at = `/v1/libraries/${id}`;
  const send = async (url: string, path: string, body?: object) => {
    const response = await fetch(url + path, {
      headers,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    // oxlint-disable-next-line typescript/no-explicit-any -- Tests read answers freely.
    return { status: response.status, body: (await response.json()) as any };
  };
  const first = await node(0);
  await send(first.url, "/v1/libraries", { name: "home", id });
  return {
    first,
    urls,
    node,
    id,
    follow: (url: string, named: readonly string[] = ["--library", id]) => {
      const place = ["--database", `file:${directory}/replica/{database}.db`, "--port", "0"];
      return start(["follow", url, ...named, ...place, "--token", token], {});
    },
    insert: async (url: string): Promise<void> => {
      const change = { resource_type: "album", operation: "insert", data: { name: "x" } };
      for (;;) {
        const { status } = await send(url, `${at}/commit`, { ...change, id: createId() });
        if (status === 200) return;
        await Bun.sleep(50);
      }
    },
    headOf: async ({ url }: CliProcess) => (await send(url, at)).body.head as number,
    [Symbol.asyncDispose]: async () => {
      for (const one of running) one.kill("SIGKILL");
      await Promise.all([...running].map(({ exited }) => exited));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(30);
}

for (const named of ["by id", "by name", "not named"] as const) {
  test(`follow, started again while the leader is down, waits, says so, and goes on (library ${named})`, async () => {
    await using place = await createPlace();
    const { first, urls } = place;
    const [url = ""] = urls;
    const words = { "by id": ["--library", place.id], "by name": ["--library", "home"] };
    const start = () => place.follow(url, named === "not named" ? [] : words[named]);
    await place.insert(url);
    const before = await start();
    await until(() => before.said().includes("live 1/1"));
    before.kill("SIGTERM");
    expect(await before.exited).toBe(0);
    first.kill("SIGKILL");
    await first.exited;

    const again = await start();
    const line = `waiting 1: The leader at ${url} cannot be reached.`;
    await until(() => again.said().includes(line));
    expect(again.said()).toContain(`Follows library ${place.id} of ${url}`);
    expect(await place.headOf(again)).toBe(1);

    await place.node(0);
    await place.insert(url);
    await until(() => again.said().includes("live 2/2"));
    expect(await place.headOf(again)).toBe(2);
  }, 60_000);
}

test("follow with the addresses of two nodes goes on at the second when the first dies", async () => {
  await using place = await createPlace();
  const { first, urls } = place;
  const second = await place.node(1);
  const follower = await place.follow(urls.join(","));
  await place.insert(first.url);
  await until(async () => (await place.headOf(follower)) === 1);
  first.kill("SIGKILL");
  await first.exited;
  await place.insert(second.url);
  await until(async () => (await place.headOf(follower)) === 2);
}, 60_000);

test("follow, started for the first time while nobody answers, ends with a sentence", async () => {
  await using place = await createPlace();
  const { first, urls } = place;
  first.kill("SIGKILL");
  await first.exited;
  const follower = await place.follow(urls.join(","));
  expect(await follower.exited).toBe(1);
}, 60_000);
