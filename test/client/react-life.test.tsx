/**
 * What React does to components beside rendering them: effects that run twice, renderings that are
 * thrown away, another client, an error, a page that came from a server. Its complaints fail a test.
 */
import { afterAll, afterEach, expect, spyOn, test } from "bun:test";
import { Component, StrictMode, Suspense, startTransition, useEffect, useState } from "react";
import type { ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { createId } from "../../src/base/id.ts";
import { until } from "../support/client-world.ts";
import { createHistory, createStage, hooks, notRendered } from "../support/react-stage.tsx";

const complaints = spyOn(console, "error").mockImplementation(() => {});
afterAll(() => complaints.mockRestore());
afterEach(() => {
  const told = complaints.mock.calls.map(([what]) => String(what));
  complaints.mockClear();
  expect(told).toEqual([]);
});

const names = (albums: readonly { readonly name: string }[] | null) =>
  albums?.map(({ name }) => name).join() ?? "nothing";

test("effects that run twice ask once, and the second subscription is the one that counts", async () => {
  await using stage = await createStage();
  const { world, page, around } = stage;
  await world.insertAlbum("a");
  const effects: string[] = [];
  const Album = () => {
    const { data } = hooks.useQuery("album.list", {});
    const { data: first } = hooks.useRecord("album", data?.[0]?.id);
    useEffect(() => {
      effects.push("on");
      return () => void effects.push("off");
    }, []);
    return <p>{`${names(data)} ${first?.name} ${hooks.useSyncStatus().connection} `}</p>;
  };
  const Tags = () => <p>{hooks.useSuspenseQuery("tag.list", {}).length}</p>;
  const both = [<Album key="a" />, <Suspense key="t" children={<Tags />} />];
  page.render(<StrictMode>{around(both)}</StrictMode>);
  await page.until(() => page.text() === "a a live 0");
  await world.insertAlbum("b");
  await page.until(() => page.text() === "a,b a live 0");
  expect(effects).toEqual(["on", "off", "on"]);
  expect(stage.queriesAsked().toSorted()).toEqual(["/query/album.list", "/query/tag.list"]);
});

test("REACT-08: of 1,000 components those render that show what changed, each once an event", async () => {
  await using stage = await createStage();
  const { world, client, page, show } = stage;
  const ids = Array.from({ length: 1_000 }, () => createId());
  const change = (operation: string, id: string, data: object) => ({
    resource_type: "album",
    operation,
    id,
    data,
  });
  const send = (changes: readonly object[]) => world.send("POST", `${world.at}/batch`, { changes });
  await send(ids.map((id, index) => change("insert", id, { name: `n${1_000 + index}` })));
  const renders: string[] = [];
  const Album = ({ id }: { id: string }) => {
    renders.push(id);
    const { data } = hooks.useRecord("album", id);
    return <b>{`${data?.name} ${data?.description} `}</b>;
  };
  const Page = ({ after }: { after: string }) => {
    renders.push(after);
    return <i>{`${after}: ${names(hooks.useQuery("album.list", { after, limit: 10 }).data)}`}</i>;
  };
  const pages = Array.from({ length: 20 }, (_, index) => `n${1_000 + index * 40}`);
  show([
    ...ids.map((id) => <Album key={id} id={id} />),
    ...pages.map((after) => <Page key={after} after={after} />),
  ]);
  await page.until(
    () => page.text().includes("n1999 null") && page.text().includes("n1760: n1761"),
  );
  await client.synced();
  renders.length = 0;
  await send([change("update", ids[125] ?? "", { description: "alone" })]);
  await page.until(() => page.text().includes("n1125 alone"));
  expect(renders).toEqual([ids[125] ?? "", "n1120"]);
  renders.length = 0;
  await send(ids.slice(0, 500).map((id) => change("update", id, { description: "together" })));
  await page.until(() => page.text().includes("n1499 together"));
  const concerned = [...ids.slice(0, 500), ...pages.slice(0, 13)];
  expect(renders.toSorted()).toEqual(concerned.toSorted());
});

test("a suspended list whose input changes in a transition keeps what it shows, and forgets what nobody waits for", async () => {
  await using stage = await createStage();
  const { world, page, show } = stage;
  for (const name of ["a", "b", "c"]) await world.insertAlbum(name);
  const seen = createHistory();
  const List = ({ after }: { after: string }) => {
    const text = `${after}:${names(hooks.useSuspenseQuery("album.list", { after }))}`;
    useEffect(() => void seen.note(text), [text]);
    return <p>{text}</p>;
  };
  const Waiting = () => {
    useEffect(() => void seen.note("waiting"), []);
    return <p>waiting</p>;
  };
  let turn: (after: string) => void = () => {};
  const Book = () => {
    const [after, setAfter] = useState("0");
    turn = (next) => startTransition(() => setAfter(next));
    return (
      <Suspense fallback={<Waiting />}>
        <List after={after} />
      </Suspense>
    );
  };
  show(<Book />);
  await page.until(() => page.text() === "0:a,b,c");
  for (const after of ["a", "c", "b"]) turn(after);
  await page.until(() => page.text() === "b:c");
  await world.insertAlbum("d");
  await page.until(() => page.text() === "b:c,d");
  expect(seen.all.filter((text) => text === "waiting")).toEqual(["waiting"]);
  expect(seen.all.slice(1)).toEqual(["0:a,b,c", "b:c", "b:c,d"]);
});

test("more suspended lists than the cache holds appear together, and each is asked for once, however slow one is", async () => {
  await using stage = await createStage();
  const { world, page, direct, show } = stage;
  await world.insertAlbum("b");
  const count = 110;
  const { promise: othersCame, resolve: come } = Promise.withResolvers<void>();
  let answerCount = 0;
  const client = stage.open(async (url, init) => {
    if (!url.includes("/query/")) return direct(url, init);
    if (JSON.stringify(init.body).includes(`limit\\":${count}}`)) {
      await othersCame;
      // Later than any timer of a second that the others' answers began.
      await new Promise((resolve) => setTimeout(resolve, 1_001));
    } else if ((answerCount += 1) === count - 1) setTimeout(come);
    return direct(url, init);
  });
  const List = ({ limit }: { limit: number }) => (
    <p>{names(hooks.useSuspenseQuery("album.list", { limit }))}</p>
  );
  const lists = Array.from({ length: count }, (_, at) => <List key={at} limit={at + 1} />);
  show(<Suspense fallback="waiting">{lists}</Suspense>, client);
  await until(client.query("album.list", { limit: count }), ({ status }) => status === "ready");
  await page.until(() => page.text() === "b".repeat(count));
  expect(stage.queriesAsked().length).toBe(count);
});

/** Shows the problem instead of its children, until it is told to try again. */
class Boundary extends Component<{ readonly children: ReactNode }> {
  override state = { code: null as string | null };
  static getDerivedStateFromError({ code }: { readonly code: string }) {
    return { code };
  }
  tryAgain = () => this.setState({ code: null });
  override render() {
    return this.state.code ?? this.props.children;
  }
}

test("a refused list goes to the error boundary, and is loading again as soon as it is asked again", async () => {
  await using stage = await createStage();
  const { world, page, show, direct } = stage;
  await world.insertAlbum("a");
  let isRefused = true;
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const client = stage.open(async (url, init) => {
    if (!url.includes("/query/")) return direct(url, init);
    if (isRefused) return Response.json({ code: "forbidden", retry: "never" }, { status: 403 });
    await gate;
    return direct(url, init);
  });
  const List = () => <p>{names(hooks.useSuspenseQuery("album.list", {}))}</p>;
  const boundary: { current: Boundary | null } = { current: null };
  const tree = (
    <Boundary ref={boundary}>
      <Suspense fallback="waiting">
        <List />
      </Suspense>
    </Boundary>
  );
  show(tree, client);
  await page.until(() => page.text() === "forbidden");
  // React tells of what a boundary catches.
  complaints.mockClear();
  isRefused = false;
  const asked = client.query("album.list", {}).refetch();
  boundary.current?.tryAgain();
  await page.until(() => page.text() === "waiting");
  open();
  await asked;
  await page.until(() => page.text() === "a");
});

test("another client's answers and changes are its own, and what came too late for a page harms nobody", async () => {
  await using stage = await createStage();
  const { world, client, page, show, direct } = stage;
  await world.insertAlbum("a");
  const { body } = await world.send("POST", "/v1/libraries", { name: "other" });
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const other = stage.open(async (url, init) => {
    if (url.includes("/query/")) await gate;
    return direct(url, init);
  }, body.id);
  const seen = createHistory();
  let insert: (name: string) => { done: Promise<unknown> } = notRendered;
  const List = () => {
    const { data } = hooks.useQuery("album.list", {});
    const album = hooks.useMutation("album");
    insert = (name) => album.insert({ name });
    return <p>{seen.note(`${names(data)} ${album.state}`)}</p>;
  };
  show(<List />);
  await page.until(() => page.text() === "a idle");
  await insert("b").done;
  await page.until(() => page.text() === "a,b committed");
  seen.all.length = 0;
  show(<List />, other);
  show(<p>elsewhere</p>, other);
  open();
  await insert("of a page that is gone").done;
  show(<List />, other);
  await page.until(() => page.text() === "of a page that is gone idle");
  expect(seen.all[0]).toBe("nothing idle");
  show(<List />, client);
  await page.until(() => page.text().startsWith("a,b "));
});

test("a page from a server is taken over as it is, then shows what the client knows", async () => {
  await using stage = await createStage();
  const { world, client, around } = stage;
  await world.insertAlbum("a");
  const seen = createHistory();
  const List = () => {
    const { data, isLoading } = hooks.useQuery("album.list", {});
    const { data: first } = hooks.useRecord("album", data?.[0]?.id);
    const { connection } = hooks.useSyncStatus();
    return <p>{seen.note(`${names(data)} ${isLoading} ${first?.name} ${connection}`)}</p>;
  };
  const tree = around(<List />);
  const html = renderToString(tree);
  expect(html).toBe("<p>nothing true undefined connecting</p>");
  const list = client.query("album.list", {});
  const end = list.subscribe(() => {});
  await list.refetch();
  await client.synced();
  seen.all.length = 0;
  const { hydrateRoot } = await import("react-dom/client");
  const host = document.createElement("div");
  host.innerHTML = html;
  const recovered: unknown[] = [];
  const root = hydrateRoot(host, tree, { onRecoverableError: (error) => recovered.push(error) });
  await stage.page.until(() => host.textContent === "a false a live");
  expect(seen.all).toEqual(["nothing true undefined connecting", "a false a live"]);
  expect(recovered).toEqual([]);
  root.unmount();
  end();
});

test("an input that is another object each time, and an id that comes and goes, ask and render no more than they must", async () => {
  await using stage = await createStage();
  const { world, client, page, show } = stage;
  const id = createId();
  await world.insertAlbum("a", id);
  let renders = 0;
  const Album = ({ isShown }: { isShown: boolean }) => {
    renders += 1;
    const { data } = hooks.useQuery("album.list", { limit: 5 }, { enabled: isShown });
    const { data: album } = hooks.useRecord("album", isShown ? id : null);
    return <p>{`${names(data)} ${album?.name}`}</p>;
  };
  for (let index = 0; index < 21; index += 1) show(<Album isShown={index % 2 === 0} />);
  await page.until(() => page.text() === "a a");
  await client.synced();
  const before = renders;
  await world.insertAlbum("b");
  await page.until(() => page.text() === "a,b a");
  expect(renders).toBe(before + 1);
  expect(stage.queriesAsked()).toEqual(["/query/album.list"]);
});
