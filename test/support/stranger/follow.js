/** A program that follows the list of notes and says what is in it, whatever becomes of the service. */
import process from "node:process";
import { createClient } from "syncline/client";

const [url, library, token] = process.argv.slice(2);
const rules = { queries: { "note.list": { returns: "note" } }, actions: {} };
const client = createClient({ url, library, token, rules });
await client.synced();
const notes = client.query("note.list", {});
notes.subscribe(() => {
  const titles = notes.getSnapshot().data.map((note) => note.title);
  process.stdout.write(`${titles.join(" ")}\n`);
});
