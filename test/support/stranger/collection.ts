import { synclineCollectionOptions } from "syncline/client/tanstack-db";
import { client } from "./client.ts";

export const options = synclineCollectionOptions(client, {
  query: "note.list",
  input: {},
  type: "note",
});
