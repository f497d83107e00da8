import { expect, test } from "bun:test";
import { restoreLibrary } from "../../src/tools/restore.ts";
import { createWorld } from "../support/world.ts";

test("a restored library has a new history and the next epoch, and is listed again", async () => {
  await using world = await createWorld();
  await world.insertAlbum("kept");
  const { library, service } = world;
  const { id, historyId, epoch } = library.state;
  await expect(restoreLibrary(library.database, service.catalog.database)).rejects.toThrow(
    /or did when the backup was made\. Stop the service, then restore in 1[45] s\.$/,
  );
  await service.catalog.release(id);
  await service.catalog.database.write([{ sql: "DELETE FROM libraries", args: [] }]);
  const database = service.openDatabase(id);
  const restored = await restoreLibrary(database, service.catalog.database);
  database.close();
  expect(restored).toMatchObject({ id, head: 1 });
  expect(restored.historyId).not.toBe(historyId);
  const { body } = await world.send("GET", world.at);
  expect(body).toMatchObject({ history_id: restored.historyId, head: 1 });
  expect(body.epoch).toBeGreaterThan(epoch + 1);
  const old = await world.send("GET", `${world.at}/log?after=1&history_id=${historyId}`);
  expect([old.status, old.body.code]).toEqual([410, "history_changed"]);
});
