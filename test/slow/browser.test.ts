/**
 * The demonstration in real browsers (I6, I7, I9 of the client: C11 to C19). After each step all that
 * each device holds, in memory and in IndexedDB, is compared with what SQL reads from the database file.
 */
import { expect } from "bun:test";
import type { Browser } from "playwright-core";
import { createId } from "../../src/base/id.ts";
import { openBrowserTests } from "../support/chromium.ts";
import { openPhotos } from "../support/photos.ts";
import { createHand } from "../support/photos-device.ts";

const story = await openBrowserTests();

const insert = (type: string, id: string, data: Record<string, unknown>) => ({
  resource_type: type,
  operation: "insert",
  id,
  data,
});

/** A location with two folders and a few photos, two albums and two tags. */
function makeLibrary() {
  const [locationId, iceland, archive, album] = [createId(), createId(), createId(), createId()];
  const file = (id: string, name: string, parentId: string | null) => ({
    id,
    change: insert("file", id, {
      location_id: locationId,
      parent_id: parentId,
      name,
      size: 1_000,
      ...(parentId === null
        ? { mime: "inode/directory" }
        : { mime: "image/jpeg", extension: "jpg", modified_at: "2026-05-01T10:00:00.000Z" }),
    }),
  });
  const photos = Array.from({ length: 12 }, (_, index) =>
    file(createId(), `IMG ${String(index + 1).padStart(2, "0")}.jpg`, iceland),
  );
  return [
    insert("location", locationId, { device_id: "laptop", name: "Pictures" }),
    file(iceland, "Iceland", null).change,
    file(archive, "Archive", null).change,
    ...photos.map(({ change }) => change),
    insert("album", album, { name: "Ring road", cover_id: photos[0]?.id }),
    insert("album", createId(), { name: "Wallpapers" }),
    ...photos
      .slice(0, 5)
      .map(({ id }, index) =>
        insert("album_item", createId(), { album_id: album, file_id: id, position: index * 1_024 }),
      ),
    insert("tag", createId(), { name: "Best", color: "yellow" }),
    insert("tag", createId(), { name: "Print", color: "grape" }),
  ];
}

async function openLibrary(browser: Browser) {
  const photos = await openPhotos(browser);
  await photos.create();
  await photos.send("/batch", { changes: makeLibrary() });
  return photos;
}

const shots = ".cache/screenshots";

story(
  "I7, C19: three devices, one of them offline and opened again there, end with what the file says",
  async (browser) => {
    await using photos = await openLibrary(browser);
    const [ada, ben, cleo] = [await photos.open(), await photos.open(), await photos.open()];
    await photos.agree(ada, ben, cleo);

    await ada.createAlbum("Kyoto");
    await photos.agree(ada, ben, cleo);
    await ben.openAlbum("Kyoto");
    await ben.renameAlbum("Kyoto in autumn");
    await photos.agree(ada, ben, cleo);
    await ada.openFolder("Iceland");
    await ada.select("IMG 07.jpg", "IMG 08.jpg", "IMG 09.jpg");
    await ada.choose("add-to-album", "Kyoto in autumn");
    await ben.at("album-item").nth(2).waitFor();
    await photos.agree(ada, ben, cleo);
    await ben.drag(2, 0);
    await ben.at("album-item", "IMG 09.jpg").first().waitFor();
    await photos.agree(ada, ben, cleo);

    await cleo.openFolder("Iceland");
    await cleo.openAlbum("Ring road");
    await cleo.untilKept();
    await cleo.context.setOffline(true);
    await cleo.status({ connection: "offline" });
    await cleo.renameAlbum("Ring road, by bus");
    await cleo.createAlbum("Written on the bus");
    await cleo.status({ pending: 2 });

    await ada.choose("apply-tag", "Best");
    await photos.agree(ada, ben);
    await ada.moveTo("Archive");
    await photos.agree(ada, ben);
    await ben.openFolder("Iceland");
    await ben.select("IMG 12.jpg");
    await ben.at("delete").click();
    await photos.agree(ada, ben);
    await ben.renameFile("IMG 11.jpg", "IMG 11, the good one.jpg");
    await photos.agree(ada, ben);

    await cleo.page.reload();
    await cleo.at("album-name", "Written on the bus").waitFor();
    await cleo.status({ connection: "offline", pending: 2 });
    expect(await cleo.albums()).toEqual([
      "Kyoto in autumn",
      "Ring road, by bus",
      "Wallpapers",
      "Written on the bus",
    ]);
    await cleo.page.screenshot({ path: `${shots}/offline.png` });
    await cleo.openAlbum("Ring road, by bus");
    await cleo.at("album-item").nth(1).hover();
    await cleo.at("album-item").nth(1).getByTestId("remove-item").click();
    await cleo.at("album-item").nth(4).waitFor({ state: "detached" });
    await cleo.status({ pending: 3 });
    await cleo.openFolder("Iceland");
    await cleo.renameFile("IMG 12.jpg", "IMG 12, deleted meanwhile.jpg");
    await cleo.status({ pending: 4 });

    await cleo.context.setOffline(false);
    await cleo.page.getByText("This was taken back").waitFor();
    await photos.agree(ada, ben, cleo);
    expect(await ada.albums()).toEqual(await cleo.albums());
  },
);

story(
  "I4, I5, C11: a service that is killed and started again gets each waiting change once",
  async (browser) => {
    await using photos = await openLibrary(browser);
    const [ada, ben] = [await photos.open(), await photos.open()];
    await photos.agree(ada, ben);
    const before = photos.truth().head;
    await ada.createAlbum("Before");
    await photos.kill();
    await ada.createAlbum("Meanwhile");
    await ben.createAlbum("Meanwhile too");
    await ada.status({ connection: "offline" });
    await ben.status({ connection: "offline", pending: 1 });
    expect(await ada.albums()).toEqual(["Before", "Meanwhile", "Ring road", "Wallpapers"]);
    await photos.start();
    await photos.agree(ada, ben);
    const names = [...photos.truth().rows.values()].map(({ name }) => name);
    for (const name of ["Before", "Meanwhile", "Meanwhile too"])
      expect(names.filter((one) => one === name)).toHaveLength(1);
    expect(photos.truth().head).toBe(before + 3);
  },
);

story(
  "C6: a library that begins again under its id replaces what devices held, and takes what they wrote",
  async (browser) => {
    await using photos = await openLibrary(browser);
    const [ada, ben] = [await photos.open(), await photos.open()];
    await photos.agree(ada, ben);
    await photos.kill();
    await ada.createAlbum("Written before the reset");
    await ben.status({ connection: "offline" });
    await photos.wipe([
      insert("album", createId(), { name: "Of the new history" }),
      insert("tag", createId(), { name: "New", color: "cyan" }),
    ]);
    await photos.start();
    await photos.agree(ada, ben);
    for (const { albums } of [ada, ben])
      expect(await albums()).toEqual(["Of the new history", "Written before the reset"]);
  },
);

story(
  "C12, C13, C14: windows of one device share one stream, and each writes, offline and when the first is gone",
  async (browser) => {
    await using photos = await openLibrary(browser);
    const ada = await photos.open();
    const page = await ada.openWindow();
    const second = createHand(page);
    await second.status({ connection: "live" });
    await photos.agree(ada);
    expect(ada.streams.count).toBe(1);
    await ada.context.setOffline(true);
    await ada.createAlbum("By the first");
    await second.createAlbum("By the second");
    await second.status({ pending: 2 });
    await ada.status({ pending: 2 });
    expect(await ada.albums()).toEqual(await second.albums());
    await ada.page.close();
    await second.createAlbum("By the heir");
    await second.status({ pending: 3 });
    await ada.context.setOffline(false);
    await photos.agree({ held: (question) => ada.held(question, page) });
  },
);
