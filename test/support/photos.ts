/**
 * The demonstration as people meet it: the service that `dev` starts and devices that look at it. The
 * database file says what is true; everything that a browser holds is compared with it.
 *
 * @module
 */
import { Database } from "bun:sqlite";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Browser } from "playwright-core";
import { toCamelCase } from "../../src/base/case.ts";
import { createId } from "../../src/base/id.ts";
import { openDevice } from "./photos-device.ts";
import type { Device, Held, WatchedList } from "./photos-device.ts";
import { freePorts } from "./sqld.ts";

const waitMs = 20_000;

const tables: Readonly<Record<string, string>> = {
  album: "albums",
  album_item: "album_items",
  file: "files",
  file_tag: "file_tags",
  location: "locations",
  tag: "tags",
  user_metadata: "user_metadata",
};

type Fields = Readonly<Record<string, unknown>>;

/** What the database file holds: records by `type:id`, and the ids that each query should answer. */
interface Truth {
  readonly head: number;
  readonly rows: ReadonlyMap<string, Fields>;
  readonly lists: ReadonlyMap<WatchedList, readonly string[]>;
}

function readTruth(path: string): Truth {
  using database = new Database(path, { readonly: true });
  // A service that was killed leaves a log that whoever opens it first goes through.
  database.run("PRAGMA busy_timeout=5000");
  const all = (sql: string, ...args: readonly (string | null)[]) =>
    database.query(sql).all(...args) as Record<string, unknown>[];
  const rows = new Map<string, Fields>();
  for (const [type, table] of Object.entries(tables)) {
    for (const row of all(`SELECT * FROM ${table}`)) {
      const fields = Object.entries(row).map(([name, value]) => [toCamelCase(name), value]);
      rows.set(`${type}:${String(row["id"])}`, Object.fromEntries(fields) as Fields);
    }
  }
  const lists = new Map<WatchedList, readonly string[]>();
  const expectList = (name: string, input: Fields, rest: string, ...args: (string | null)[]) =>
    lists.set(
      { name, input },
      all(`SELECT id FROM ${rest}`, ...args).map(({ id }) => String(id)),
    );
  expectList("album.list", { limit: 1_000 }, "albums ORDER BY name, id");
  expectList("tag.list", {}, "tags ORDER BY name, id");
  expectList("location.list", {}, "locations ORDER BY name, id");
  expectList("file.favorites", {}, "user_metadata WHERE favorite = 1 ORDER BY id");
  expectList(
    "file.search",
    { text: "img", limit: 500 },
    "files WHERE lower(name) LIKE '%img%' ORDER BY name, id",
  );
  for (const { id } of all("SELECT id FROM albums") as { id: string }[]) {
    const items = "album_items WHERE album_id = ? ORDER BY position, id";
    expectList("album.items", { albumId: id }, items, id);
  }
  for (const { id } of all("SELECT id FROM tags") as { id: string }[]) {
    const tagged = "files WHERE id IN (SELECT file_id FROM file_tags WHERE tag_id = ?)";
    expectList("file.with_tag", { tagId: id }, `${tagged} ORDER BY name, id`, id);
  }
  const folders = `SELECT DISTINCT location_id, parent_id FROM files`;
  for (const row of all(folders) as { location_id: string; parent_id: string | null }[]) {
    const { location_id: locationId, parent_id: parentId } = row;
    const input = { locationId, parentId, limit: 5_000 };
    const files = "files WHERE location_id = ? AND parent_id IS ? ORDER BY name, id";
    expectList("file.by_directory", input, files, locationId, parentId);
  }
  const [library] = all("SELECT head FROM library") as { head: number }[];
  return { head: library?.head ?? 0, rows, lists };
}

/** SQL has no booleans and keeps JSON as text. */
function isSame(held: unknown, row: unknown): boolean {
  if (typeof held === "boolean") return Number(held) === row;
  if (typeof held === "object" && held !== null) return JSON.stringify(held) === row;
  return held === row;
}

/** Every way in which a device differs from the file. */
function differences(held: Held, truth: Truth): string[] {
  const found: string[] = [];
  const { memory = {}, disk = {} } = held.records;
  for (const [key, record] of Object.entries(memory))
    if (record !== null && disk[key] === undefined) found.push(`${key} is not on disk`);
  if (held.cursor !== truth.head) found.push(`is at ${held.cursor} of ${truth.head}`);
  if (held.pendingCount !== 0) found.push(`has ${held.pendingCount} changes waiting`);
  for (const [place, records] of Object.entries(held.records)) {
    for (const [key, record] of Object.entries(records)) {
      const row = truth.rows.get(key);
      if (record === null && row === undefined) continue;
      const names = Object.keys(record ?? {});
      const isEqual =
        record !== null &&
        row !== undefined &&
        names.every((name) => isSame(record[name], row[name]));
      if (!isEqual) {
        found.push(`${place} ${key} is ${JSON.stringify(record)}, not ${JSON.stringify(row)}`);
      }
    }
  }
  let index = 0;
  for (const [{ name, input }, expected] of truth.lists) {
    const list = held.lists[index];
    index += 1;
    if (list?.isStale === false && list.ids.join() === expected.join()) continue;
    found.push(
      `${name} ${JSON.stringify(input)} is ${JSON.stringify(list)}, not ${expected.join()}`,
    );
  }
  return found;
}

async function startDev(options: { readonly directory: string; readonly port: number }) {
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", "dev"], {
    env: {
      ...process.env,
      PORT: String(options.port),
      DATABASE_URL: `file:${options.directory}/{database}.db`,
      LOG_LEVEL: "error",
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of child.stdout as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part);
    const [, link, token] = /demonstration: (\S+#token=(\S+))\s/.exec(text) ?? [];
    if (link === undefined || token === undefined) continue;
    const kill = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      await child.exited;
    };
    return { link, token, kill };
  }
  throw new Error(`The service did not start: ${text}`);
}

type Dev = Awaited<ReturnType<typeof startDev>>;

/** The service of the demonstration over an empty folder, to be killed and started again. */
export async function openPhotos(browser: Browser) {
  const directory = await mkdtemp(join(tmpdir(), "syncline-photos-"));
  const [port = 0, otherPort = 0] = freePorts(2);
  let dev: Dev = await startDev({ directory, port });
  const url = `http://127.0.0.1:${port}`;
  const library = createId();
  const devices: Device[] = [];
  const send = async (path: string, body: unknown, at = url) => {
    const response = await fetch(`${at}/v1/libraries${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${dev.token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(await response.text());
  };
  const truth = (): Truth => readTruth(join(directory, `${library}.db`));
  const compare = async (device: Pick<Device, "held">): Promise<string[]> => {
    const now = truth();
    const held = await device.held({
      database: `syncline:photos-${library}-1`,
      keys: [...now.rows.keys()],
      lists: [...now.lists.keys()],
    });
    return differences(held, now);
  };
  return {
    url,
    directory,
    library,
    truth,
    link: () => dev.link,
    token: () => dev.token,
    send: (path: string, body: unknown) => send(`/${library}${path}`, body),
    create: () => send("", { id: library, name: "Photos" }),
    open: async () => {
      const device = await openDevice(browser, dev.link);
      devices.push(device);
      return device;
    },
    /** Waits until everything that each of them holds, in memory and on disk, is what the file says. */
    agree: async (...who: readonly Pick<Device, "held">[]) => {
      for (const [index, device] of who.entries()) {
        const deadline = performance.now() + waitMs;
        for (;;) {
          const found = await compare(device);
          if (found.length === 0) break;
          if (performance.now() > deadline)
            throw new Error(`Device ${index}:\n${found.slice(0, 8).join("\n")}`);
          await Bun.sleep(20);
        }
      }
      const problems = devices.flatMap((device) => device.problems);
      if (problems.length > 0) throw new Error(`A page failed: ${problems.join("\n")}`);
    },
    kill: () => dev.kill("SIGKILL"),
    start: async () => {
      dev = await startDev({ directory, port });
    },
    /** A stopped service loses its databases; the library begins again under its id, as `seed` fills it. */
    wipe: async (changes: readonly unknown[]) => {
      for (const name of await readdir(directory))
        if (name.includes(".db")) await rm(join(directory, name));
      // Elsewhere, so that nobody meets a service without the library.
      dev = await startDev({ directory, port: otherPort });
      const at = `http://127.0.0.1:${otherPort}`;
      await send("", { id: library, name: "Photos" }, at);
      await send(`/${library}/batch`, { changes }, at);
      await dev.kill("SIGTERM");
    },
    [Symbol.asyncDispose]: async () => {
      for (const { context } of devices) await context.close();
      await dev.kill("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };
}
