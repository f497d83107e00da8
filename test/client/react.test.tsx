/**
 * Hooks over a real client and a real service: what renders, when, and how often.
 */
import { brotliCompressSync } from "node:zlib";
import { expect, test } from "bun:test";
import { Suspense } from "react";
import { renderToString } from "react-dom/server";
import { createId } from "../../src/base/id.ts";
import { createHistory, createStage, hooks, notRendered } from "../support/react-stage.tsx";

test("REACT-08, 10: an event renders only the components that show what it changed, and each once", async () => {
  await using stage = await createStage();
  const { world, page, show } = stage;
  const ids = [createId(), createId(), createId()];
  for (const [index, id] of ids.entries()) await world.insertAlbum(`album ${index}`, id);
  const renders: string[] = [];
  const List = () => {
    const { data } = hooks.useQuery("album.list", {});
    renders.push("list");
    return <p>{data?.map((album) => album.name).join()}</p>;
  };
  const One = ({ index }: { index: number }) => {
    const { data } = hooks.useRecord("album", ids[index] ?? "");
    renders.push(`one ${index}`);
    return <p>{data?.description}</p>;
  };
  const Status = () => <p>{hooks.useSyncStatus().connection}</p>;
  show([
    <List key="l" />,
    <One key="0" index={0} />,
    <One key="1" index={1} />,
    <Status key="s" />,
  ]);
  await page.until(() => page.text().includes("album 0,album 1,album 2"));
  await page.until(() => page.text().includes("live"));
  renders.length = 0;
  const changes = [0, 2].map((index) => ({
    resource_type: "album",
    operation: "update",
    id: ids[index],
    data: { description: `new ${index}` },
  }));
  await world.send("POST", `${world.at}/batch`, { changes });
  await page.until(() => page.text().includes("new 0"));
  expect(renders.toSorted()).toEqual(["list", "one 0"]);
});

test("REACT-02, 03: a list takes in new records without asking, and an input of equal meaning is the same", async () => {
  await using stage = await createStage();
  const { world, page, show } = stage;
  await world.insertAlbum("b");
  const List = ({ isTurned }: { isTurned: boolean }) => {
    const input = isTurned
      ? { limit: 5, sort: "name" as const }
      : { sort: "name" as const, limit: 5 };
    const { data } = hooks.useQuery("album.list", input);
    return <p>{data === null ? "loading" : data.map((album) => album.name).join()}</p>;
  };
  show(<List isTurned={false} />);
  await page.until(() => page.text() === "b");
  show(<List isTurned />);
  await world.insertAlbum("a");
  await page.until(() => page.text() === "a,b");
  expect(stage.queriesAsked()).toEqual(["/query/album.list"]);
});

test("REACT-04: a query that is not enabled asks for nothing and is not loading", async () => {
  await using stage = await createStage();
  const { page, show } = stage;
  const List = ({ enabled }: { enabled: boolean }) => {
    const { data, isLoading } = hooks.useQuery("album.list", {}, { enabled });
    return <p>{`${String(isLoading)} ${String(data?.length)}`}</p>;
  };
  show(<List enabled={false} />);
  await stage.client.synced();
  expect([page.text(), stage.queriesAsked()]).toEqual(["false undefined", []]);
  show(<List enabled />);
  await page.until(() => page.text() === "false 0");
  expect(stage.queriesAsked().length).toBe(1);
});

test("REACT-05: a refused query tells why and is not loading", async () => {
  await using stage = await createStage();
  const { page, show } = stage;
  const List = () => {
    const { error, isLoading, data } = hooks.useQuery("file.with_tag", { tagId: "no uuid" });
    return (
      <p>{`${String(isLoading)} ${String(data?.length ?? null)} ${(error as { code?: string } | null)?.code}`}</p>
    );
  };
  show(<List />);
  await page.until(() => page.text() === "false null invalid_record");
});

test("REACT-05: a refused record tells why and is not loading", async () => {
  await using stage = await createStage();
  const { page, show, direct } = stage;
  const client = stage.open(async (url, init) =>
    url.includes("/resources/")
      ? Response.json({ code: "forbidden", retry: "never" }, { status: 403 })
      : direct(url, init),
  );
  const seen = createHistory();
  const Album = () => {
    const { data, error, isLoading } = hooks.useRecord("album", "a");
    const { code = "no error" } = (error ?? {}) as { code?: string };
    return <p>{seen.note(`${data?.name} ${isLoading} ${code}`)}</p>;
  };
  show(<Album />, client);
  await page.until(() => page.text() === "undefined false forbidden");
  expect(seen.all).toEqual(["undefined true no error", "undefined false forbidden"]);
});

test("REACT-06, 12: old data stays in sight while it is asked for again; another input never shows the old one's answer", async () => {
  await using stage = await createStage();
  const { world, page, show, client } = stage;
  await world.insertAlbum("first");
  const seen: (string | undefined)[] = [];
  const List = ({ after }: { after?: string }) => {
    const { data, refetch } = hooks.useQuery("album.list", after === undefined ? {} : { after });
    seen.push(data?.map((album) => album.name).join());
    return <button onClick={() => void refetch()}>{data?.length ?? "none"}</button>;
  };
  show(<List />);
  await page.until(() => page.text() === "1");
  const before = seen.length;
  await client.query("album.list", {}).refetch();
  expect(seen.slice(before).every((names) => names === "first")).toBe(true);
  seen.length = 0;
  show(<List after="first" />);
  await page.until(() => page.text() === "0");
  expect(seen).not.toContain("first");
});

test("a change shows at once, and its hook tells how it ended", async () => {
  await using stage = await createStage();
  const { page, show } = stage;
  const id = createId();
  const seen = createHistory();
  let insert: (name: string) => { done: Promise<unknown> } = notRendered;
  const Album = () => {
    const { data, isPending } = hooks.useRecord("album", id);
    const album = hooks.useMutation("album");
    insert = (name) => album.insert({ id, name });
    const { code = "" } = (album.error ?? {}) as { code?: string };
    return (
      <p>
        {seen.note(`${data?.name} ${isPending ? "pending" : "settled"} ${album.state} ${code}`)}
      </p>
    );
  };
  show(<Album />);
  await page.until(() => page.text() === "undefined settled idle ");
  await insert("Iceland").done;
  await page.until(() => page.text() === "Iceland settled committed ");
  expect(seen.all[1]).toStartWith("Iceland pending");
  await insert("Iceland again").done.catch(() => {});
  await page.until(() => page.text() === "Iceland settled rejected already_exists");
});

test("an action shows its twin at once and answers its output", async () => {
  await using stage = await createStage();
  const { world, page, show } = stage;
  const [tagId, fileId, locationId] = [createId(), createId(), createId()];
  const insert = (resource_type: string, id: string, data: object) =>
    world.send("POST", `${world.at}/commit`, { resource_type, operation: "insert", id, data });
  await insert("location", locationId, { device_id: "d", name: "x" });
  await insert("file", fileId, { location_id: locationId, name: "a", size: 1 });
  await insert("tag", tagId, { name: "red" });
  const seen = createHistory();
  let apply: () => { done: Promise<unknown> } = notRendered;
  const Tags = () => {
    const { data } = hooks.useQuery("tag.links", { fileId });
    const action = hooks.useAction("tag.apply");
    apply = () => action.run({ tagId, fileIds: [fileId] });
    return <p>{seen.note(`${data?.length} ${action.state} ${action.output?.applied}`)}</p>;
  };
  show(<Tags />);
  await page.until(() => page.text() === "0 idle undefined");
  await apply().done;
  await page.until(() => page.text() === "1 committed 1");
  const settled = seen.all.indexOf("0 idle undefined");
  expect(seen.all[settled + 1]).toMatch(/^1 (saving|queued|sent)/);
  expect(seen.all.slice(settled + 1).every((text) => text.startsWith("1"))).toBe(true);
});

test("a suspended list shows its fallback, then its records; a server renders without asking", async () => {
  await using stage = await createStage();
  const { world, client, page, show } = stage;
  await world.insertAlbum("Iceland");
  const Loud = () => <p>{hooks.useSuspenseQuery("album.list", {}).map((album) => album.name)}</p>;
  const seen = createHistory();
  const Waiting = () => <p>{seen.note("waiting")}</p>;
  show(
    <Suspense fallback={<Waiting />}>
      <Loud />
    </Suspense>,
  );
  expect(seen.all).toEqual(["waiting"]);
  await page.until(() => page.text() === "Iceland");
  const asked = stage.queriesAsked().length;
  const Quiet = () => {
    const { data, isLoading } = hooks.useQuery("tag.list", {});
    return (
      <p>{`${String(data?.length ?? null)} ${String(isLoading)} ${hooks.useSyncStatus().connection}`}</p>
    );
  };
  const html = renderToString(
    <hooks.SynclineProvider client={client}>
      <Quiet />
    </hooks.SynclineProvider>,
  );
  expect(html).toBe("<p>null true connecting</p>");
  expect(stage.queriesAsked().length).toBe(asked);
});

test("a hook without its provider says what is missing", () => {
  const Lost = () => <p>{hooks.useSyncStatus().connection}</p>;
  expect(() => renderToString(<Lost />)).toThrow("SynclineProvider");
});

test("the hooks take at most 1.5 kB, minified and brotlied", async () => {
  const { outputs } = await Bun.build({
    entrypoints: ["src/client/react.ts"],
    external: ["react"],
    minify: true,
    target: "browser",
  });
  const text = (await outputs[0]?.text()) ?? "";
  expect(text.length).toBeGreaterThan(500);
  expect(brotliCompressSync(text).length).toBeLessThanOrEqual(1_536);
});
