/**
 * What the README promises of the demonstration: the link that `dev` prints signs in and shows a library,
 * a second device stands beside it and is cut off alone, and a directory that is indexed appears live.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "bun:test";
import { openBrowserTests } from "../support/chromium.ts";
import { createHand } from "../support/photos-device.ts";
import { openPhotos } from "../support/photos.ts";
import { createId } from "../../src/base/id.ts";

const story = await openBrowserTests();
const shots = ".cache/screenshots";

story(
  "the printed link opens a sample, and two devices agree after one was cut off",
  async (browser) => {
    await using photos = await openPhotos(browser);
    const ada = await photos.open();
    await ada.at("album-card").nth(3).waitFor();
    expect(ada.page.url()).not.toContain("token");
    await ada.page.screenshot({ path: `${shots}/albums.png` });
    await ada.openFolder("Archive", "Camera roll");
    await ada.page.locator('[data-testid=file-table][data-count="4800"]').waitFor();
    // Thousands are held, those in sight are drawn.
    expect(await ada.at("file-row").count()).toBeLessThan(60);

    await ada.openFolder("Alps");
    const [popup] = await Promise.all([
      ada.context.waitForEvent("page"),
      ada.at("second-device").click(),
    ]);
    const other = createHand(popup);
    await other.status({ connection: "live" });
    await other.renameFile("Blue lake 01.jpg", "Aaa live.jpg");
    await ada.at("file-row", "Aaa live.jpg").waitFor();
    await other.switchOffline();
    await other.status({ connection: "offline" });
    await ada.status({ connection: "live" });
    await other.renameFile("Blue lake 02.jpg", "Aab late.jpg");
    await other.status({ pending: 1 });
    await ada.renameFile("Blue lake 03.jpg", "Aac meanwhile.jpg");
    await popup.screenshot({ path: `${shots}/cut-off.png` });
    // Another view must not turn the switch back.
    await other.openAlbum("Wallpapers");
    await other.switchOffline();
    await ada.at("file-row", "Aab late.jpg").waitFor();
    await other.openFolder("Alps");
    await other.at("file-row", "Aac meanwhile.jpg").waitFor();
    await ada.page.emulateMedia({ colorScheme: "dark" });
    await ada.select("Morning hut 02.jpg");
    await ada.at("details").waitFor();
    await ada.page.screenshot({ path: `${shots}/directory-dark.png` });
    expect(ada.problems).toEqual([]);
  },
);

story(
  "a directory that is indexed appears in an open window, and so does what changes in it",
  async (browser) => {
    await using photos = await openPhotos(browser);
    await photos.create();
    const ada = await photos.open();
    const directory = await mkdtemp(join(tmpdir(), "Holiday "));
    const index = async () => {
      const argv = ["index", directory, "--library", photos.library, "--name", "Holiday"];
      const run = Bun.spawn([process.execPath, "src/tools/cli.ts", ...argv], {
        env: {
          ...process.env,
          SYNCLINE_URL: photos.url,
          DATABASE_URL: `file:${photos.directory}/{database}.db`,
        },
        stdout: "ignore",
        stderr: "inherit",
      });
      expect(await run.exited).toBe(0);
    };
    await mkdir(join(directory, "beach"));
    for (let count = 1; count <= 30; count += 1)
      await Bun.write(join(directory, "beach", `wave ${String(count).padStart(2, "0")}.jpg`), "w");
    await index();
    await ada.at("location-link", "Holiday").waitFor();
    await ada.openFolder("beach");
    await ada.page.locator('[data-testid=file-table][data-count="30"]').waitFor();
    await rm(join(directory, "beach", "wave 01.jpg"));
    await Bun.write(join(directory, "beach", "aurora.jpg"), "a");
    await Bun.write(join(directory, "beach", "boat.jpg"), "b");
    await index();
    await ada.page.locator('[data-testid=file-table][data-count="31"]').waitFor();
    await ada.at("file-row", "aurora.jpg").waitFor();
    await photos.agree(ada);
    await rm(directory, { recursive: true });
  },
);

story(
  "a list of more than a page says so, grows as one scrolls, and is acted on whole by keys alone",
  async (browser) => {
    await using photos = await openPhotos(browser);
    await photos.create();
    const [location, tag] = [createId(), createId()];
    const files = Array.from({ length: 1_100 }, () => createId());
    const insert = (resource_type: string, id: string, data: object) => ({
      resource_type,
      operation: "insert",
      id,
      data,
    });
    const changes = [
      insert("location", location, { device_id: location, name: "Photos" }),
      insert("tag", tag, { name: "All of them" }),
      ...files.map((id, at) =>
        insert("file", id, {
          location_id: location,
          name: `IMG_${String(at).padStart(4, "0")}.jpg`,
          mime: "image/jpeg",
          size: 1,
        }),
      ),
      ...files.map((id) => insert("user_metadata", id, { file_id: id, favorite: true })),
    ];
    for (let at = 0; at < changes.length; at += 1_000)
      await photos.send("/batch", { changes: changes.slice(at, at + 1_000) });
    const ada = await photos.open();
    const { page } = ada;
    await ada.at("favorites-link").click();
    await ada.at("page-note", "The first 1,000 files").waitFor();
    // Thousands are held, those in sight are drawn.
    expect(await page.locator(".card").count()).toBeLessThan(100);
    const scroller = page.locator(".grid-scroller");
    await scroller.evaluate((element) => (element.scrollTop = element.scrollHeight));
    await ada.at("page-note").getByText("1,100 files", { exact: true }).waitFor();

    await ada.at("location-link").click();
    await ada.at("file-row", "IMG_0000").waitFor();
    await page.getByRole("listbox", { name: "Photos" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.getByRole("button", { name: "No longer a favorite" }).waitFor();
    await page.keyboard.press("Shift+End");
    await ada.at("selection-bar", "1,100 items selected").waitFor();
    await ada.at("apply-tag").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("menuitem", { name: "All of them" }).press("Enter");
    await ada.status({ connection: "live", pending: 0 });
    const links = [...photos.truth().rows.keys()].filter((key) => key.startsWith("file_tag:"));
    expect(links).toHaveLength(1_100);
  },
);
