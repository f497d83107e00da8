import { createRoot } from "react-dom/client";
import { createClient, openIndexedDb, openTabs } from "syncline/client";
import { createHooks } from "syncline/client/react";
import { rules } from "./rules.ts";
import { SignIn, library, token, url } from "./session.tsx";
import type { plugins } from "./syncline.config.ts";

// The types come from the plugin, with no step between.
type App = { readonly plugins: typeof plugins };
const { SynclineProvider, useClient, useQuery, useSyncStatus } = createHooks<App>();

function Status() {
  const client = useClient();
  const { connection, isPaused, pendingCount, problem, rejected } = useSyncStatus();
  return (
    <header>
      <span>
        {connection}, {pendingCount} to send
      </span>
      {connection === "needs-auth" ? <SignIn /> : problem?.detail}
      <label>
        <input type="checkbox" checked={isPaused} onChange={() => client.setOffline(!isPaused)} />
        offline
      </label>
      {rejected.map((one) => (
        <p key={one.mutationId}>
          Refused: {one.problem.detail} <button onClick={() => one.discard()}>Discard</button>
        </p>
      ))}
    </header>
  );
}

function Notes() {
  const client = useClient();
  const notes = useQuery("note.list", {});
  const add = (form: FormData) => client.insert("note", { title: form.get("title") as string });
  return (
    <main>
      <Status />
      <form action={(form) => void add(form)}>
        <input name="title" placeholder="What is to be done?" required />
      </form>
      {notes.error?.detail}
      <ul>
        {notes.data?.map(({ id, title, done }) => (
          <li key={id}>
            <input
              id={id}
              type="checkbox"
              checked={done}
              onChange={() => client.update("note", id, { done: !done })}
            />
            <label htmlFor={id}>{title}</label>
            <button aria-label={`Delete ${title}`} onClick={() => client.delete("note", id)}>
              ×
            </button>
          </li>
        ))}
      </ul>
    </main>
  );
}

function open(library: string) {
  const name = `notes-${library}`;
  return createClient<App>({
    url,
    library,
    token,
    rules,
    persistence: openIndexedDb({ name }),
    tabs: openTabs(name),
  });
}

createRoot(document.body.appendChild(document.createElement("div"))).render(
  library === undefined ? (
    <main>
      <SignIn />
    </main>
  ) : (
    <SynclineProvider client={open(library)}>
      <Notes />
    </SynclineProvider>
  ),
);

// Keeps the built page, so that it opens without the service.
if (import.meta.env.PROD) void navigator.serviceWorker?.register("/sw.js");
