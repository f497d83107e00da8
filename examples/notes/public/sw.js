// Keeps the page and what it loads, so that it opens without the service. Data is not its business:
// that lies in IndexedDB.
const shell = caches.open("shell");

/** Keeps a page with all that it names, and lets go of what only an older one named; one that names nothing is not ours. */
async function keep(page) {
  const cache = await shell;
  const names = (await page.clone().text()).match(/\/assets\/[\w.-]+/g) ?? [];
  if (names.length === 0) return;
  const kept = (await cache.keys()).map((request) => new URL(request.url).pathname);
  await cache.addAll(names.filter((name) => !kept.includes(name)));
  await cache.put("/", page);
  for (const path of kept) if (path !== "/" && !names.includes(path)) await cache.delete(path);
}

async function open(event) {
  try {
    const page = await fetch(event.request);
    if (page.ok) event.waitUntil(keep(page.clone()));
    return page;
  } catch (error) {
    const kept = await (await shell).match("/");
    if (kept === undefined) throw error;
    return kept;
  }
}

self.addEventListener("install", (event) => {
  event.waitUntil(
    fetch("/")
      .then(keep)
      .then(() => self.skipWaiting()),
  );
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (event.request.mode === "navigate" && pathname === "/") event.respondWith(open(event));
  else if (pathname.startsWith("/assets/"))
    event.respondWith(
      shell
        .then((cache) => cache.match(event.request))
        .then((kept) => kept ?? fetch(event.request)),
    );
});
