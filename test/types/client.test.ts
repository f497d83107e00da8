/** A typed client and its hooks need `typeof registry` once, and no other type argument. `tsc` is the judge. */
import { expect, test } from "bun:test";
import { bundledPlugins } from "../../plugins/index.ts";
import { createRegistry } from "../../src/index.ts";
import type { Client } from "../../src/client/index.ts";
import { createHooks } from "../../src/client/react.ts";

const registry = createRegistry(bundledPlugins);
const hooks = createHooks<typeof registry>();

test("calls infer their answers, and wrong ones do not compile", () => {
  const written = async (client: Client<typeof registry>) => {
    const albums = client.query("album.list", { sort: "-name" }).getSnapshot().data;
    const names: readonly string[] = albums.map((album) => album.name);
    const cover: string | null | undefined = client.record("album", "a").getSnapshot()
      .data?.coverId;
    const { output } = await client.action("tag.apply", { tagId: "t", fileIds: [] }).done;
    const applied: number = output.applied;
    client.insert("album", { name: "a" });
    client.update("album", "a", { description: null });
    // @ts-expect-error -- There is no such query.
    client.query("album.lost", {});
    // @ts-expect-error -- The location is missing.
    client.query("file.by_directory", { parentId: null });
    // @ts-expect-error -- Names are text.
    client.update("album", "a", { name: 1 });
    // @ts-expect-error -- An album needs a name.
    client.insert("album", {});
    // @ts-expect-error -- There is no such type.
    client.record("song", "a");
    // @ts-expect-error -- Albums have no title.
    albums.map((album) => album.title);
    // @ts-expect-error -- The action takes ids, not one id.
    client.action("file.delete", { id: "a" });
    return [names, cover, applied];
  };
  const Component = () => {
    const client = hooks.useClient();
    const signOut = (): Promise<void> => client.signOut();
    const [rejected] = hooks.useSyncStatus().rejected;
    const asked = rejected?.request.kind === "action" ? rejected.request.name : null;
    const { data } = hooks.useQuery("file.search", { text: "a" });
    const size: number | undefined = data?.[0]?.size;
    const { data: tag } = hooks.useRecord("tag", null);
    const color: string | null | undefined = tag?.color;
    const { run } = hooks.useAction("file.rename");
    // @ts-expect-error -- A new name is missing.
    run({ id: "a" });
    // @ts-expect-error -- There is no such action.
    hooks.useAction("file.lose");
    return [size, color, signOut, asked];
  };
  expect([typeof written, typeof Component]).toEqual(["function", "function"]);
});
