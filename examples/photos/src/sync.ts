/**
 * The only place where the application meets Syncline: a client, and hooks that know every type of
 * the registry.
 *
 * @module
 */
import { useCallback, useEffect, useState } from "react";
import type { bundledPlugins } from "../../../plugins/index.ts";
import { clientRules } from "../../../plugins/rules/index.ts";
import { createClient, openIndexedDb, openTabs, statsOf } from "../../../src/client/index.ts";
import { createHooks } from "../../../src/client/react.ts";
import type { QueryInput, QueryName, RecordOf } from "../../../src/index.ts";
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

/** As many as one answer holds. */
const mostOfList = 10_000;

/**
 * A list that doubles whenever its end is in sight, up to what one answer holds. What is there stays
 * until there is more.
 */
export function useGrowingList<Name extends QueryName<App>>(
  name: Name,
  input: Omit<QueryInput<App, Name>, "limit">,
  first = 1_000,
) {
  const [wanted, setWanted] = useState(first);
  const [shown, setShown] = useState(first);
  const inputOf = (limit: number) => ({ ...input, limit }) as unknown as QueryInput<App, Name>;
  const [next, held] = [useQuery(name, inputOf(wanted)), useQuery(name, inputOf(shown))];
  const isHere = next.data !== null;
  useEffect(() => {
    if (isHere) setShown(wanted);
  }, [isHere, wanted]);
  const list = isHere ? next : held;
  const canGrow = !list.isComplete && list.data !== null && wanted < mostOfList;
  const grow = useCallback(() => {
    setWanted((limit) => Math.min(limit * 2, mostOfList));
  }, []);
  return { ...list, onEnd: canGrow && wanted === shown ? grow : undefined };
}

/** How many of them there are: those in sight of a list that goes on are "the first". */
export function countOf(list: { readonly isComplete: boolean }, text: string): string {
  return list.isComplete ? text : `The first ${text}`;
}

export const DIRECTORY_MIME = "inode/directory";

export const isFolder = (file: FileRecord): boolean => file.mime === DIRECTORY_MIME;
