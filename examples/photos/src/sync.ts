/**
 * The only place where the application meets Syncline: a client, and hooks that know every type of
 * the registry.
 *
 * @module
 */
import type { bundledPlugins } from "../../../plugins/index.ts";
import { clientRules } from "../../../plugins/rules/index.ts";
import { createClient, openIndexedDb, openTabs, statsOf } from "../../../src/client/index.ts";
import { createHooks } from "../../../src/client/react.ts";
import type { RecordOf } from "../../../src/index.ts";
import { device } from "./session.ts";

export interface App {
  readonly plugins: typeof bundledPlugins;
}
export type FileRecord = RecordOf<App, "file">;
export type AlbumRecord = RecordOf<App, "album">;
export type TagRecord = RecordOf<App, "tag">;
export type PhotosClient = ReturnType<typeof openClient>;

export const { SynclineProvider, useClient, useQuery, useRecord, useSyncStatus } =
  createHooks<App>();

export function openClient(library: string, token: string) {
  const name = `photos-${library}-${device()}`;
  const client = createClient<App>({
    url: location.origin,
    library,
    token,
    rules: clientRules,
    persistence: openIndexedDb({ name }),
    tabs: openTabs(name),
  });
  // For the console of the browser: `await syncline.synced()`, `statsOf(syncline.cache)`.
  return Object.assign(globalThis, { syncline: client, statsOf }).syncline;
}

export const DIRECTORY_MIME = "inode/directory";

export const isFolder = (file: FileRecord): boolean => file.mime === DIRECTORY_MIME;
