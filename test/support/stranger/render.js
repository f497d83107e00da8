/** A page that a server renders: it streams the list of notes as soon as the service has answered. */
import process from "node:process";
import { Suspense, createElement } from "react";
import { renderToPipeableStream } from "react-dom/server";
import { createClient } from "syncline/client";
import { createHooks } from "syncline/client/react";

const [url, library, token] = process.argv.slice(2);
const rules = { queries: { "note.list": { returns: "note" } }, actions: {} };
const client = createClient({ url, library, token, rules });
const { SynclineProvider, useSuspenseQuery } = createHooks();

function Notes() {
  return useSuspenseQuery("note.list", {}).map(({ id, title }) =>
    createElement("li", { key: id }, title),
  );
}

const page = createElement(
  SynclineProvider,
  { client },
  createElement(Suspense, { fallback: "Loading" }, createElement(Notes)),
);
const { pipe } = renderToPipeableStream(page, {
  onAllReady: () => {
    pipe(process.stdout);
    void client.close();
  },
});
