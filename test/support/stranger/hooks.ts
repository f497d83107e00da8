import { createHooks } from "syncline/client/react";
import type { App } from "./registry.ts";

export const {
  SynclineProvider,
  useAction,
  useClient,
  useMutation,
  useQuery,
  useRecord,
  useSuspenseQuery,
  useSyncStatus,
} = createHooks<App>();
export const useNotes = () => useQuery("note.list", {});
export const useNewNote = () => useMutation("note").insert({ title: "milk" });
export const useFinished = (): number | undefined => useAction("note.finish").output?.finished;
