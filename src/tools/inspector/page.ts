/**
 * The inspector in the browser: the figures, the log and the live stream of one library, read through
 * the public routes with the owner's token of the fragment.
 *
 * @module
 */
import { createParser } from "eventsource-parser";

interface Entry {
  readonly sequence: number;
  readonly epoch: number;
  readonly change_type: string;
  readonly model_type: string;
  readonly record_id: string;
}
interface Listing {
  readonly id: string;
  readonly name: string;
  readonly head: number;
}

/** What a person looks at first; a histogram is shown by its mean. */
const shown: readonly (readonly [metric: string, label: string])[] = [
  ["entries_total", "entries written"],
  ["commit_group_size", "commits a group, mean"],
  ["commit_seconds", "commit, mean s"],
  ["delivery_lag_seconds", "commit to delivery, mean s"],
  ["stream_subscribers", "open streams"],
  ["ring_reads_total", "chunks from the ring"],
  ["log_reads_total", "pages from the log"],
  ["commit_queue_length", "commits that wait"],
  ["bulks_running", "bulks that run"],
  ["bulk_records_total", "bulk records"],
  ["lease_changes_total", "lease changes"],
  ["follower_lag", "follower lag"],
];
const LINES_MAX = 200;
const EVERY_MS = 2_000;

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
// The address is shown and copied; the token should not be.
history.replaceState(null, "", location.pathname);

const byId = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}.`);
  return found;
};
const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
  const response = await fetch(path, { ...init, headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${path} answers ${response.status}.`);
  return response;
};
const say = (text: string): void => void (byId("state").textContent = text);

function prepend(list: string, text: string): void {
  const line = document.createElement("li");
  line.textContent = text;
  const all = byId(list);
  all.prepend(line);
  while (all.childElementCount > LINES_MAX) all.lastElementChild?.remove();
}

/** The sum of a metric's series, or the mean of a histogram. */
function readFigure(text: string, name: string): number {
  const sum = (suffix: string): number =>
    text
      .split("\n")
      .filter((line) => new RegExp(`^syncline_${name}${suffix}[{ ]`).test(line))
      .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
  const count = sum("_count");
  return count > 0 ? sum("_sum") / count : sum("");
}

async function showFigures(): Promise<void> {
  const text = await (await ask("/metrics")).text();
  const figures = shown.map(([name, label]) => {
    const figure = document.createElement("figure");
    const value = document.createElement("b");
    const caption = document.createElement("figcaption");
    value.textContent = String(Number(readFigure(text, name).toPrecision(4)));
    caption.textContent = label;
    figure.append(value, caption);
    return figure;
  });
  byId("figures").replaceChildren(...figures);
}

async function showLog({ id, head }: Listing): Promise<void> {
  const after = Math.max(0, head - 100);
  const answer = await ask(`/v1/libraries/${id}/log?after=${after}&limit=100`);
  const { entries } = (await answer.json()) as { entries: readonly Entry[] };
  for (const one of entries) {
    prepend(
      "log",
      `${one.sequence}@${one.epoch}  ${one.change_type} ${one.model_type} ${one.record_id}`,
    );
  }
}

async function follow({ id }: Listing, signal: AbortSignal): Promise<void> {
  const answer = await ask(`/v1/libraries/${id}/events?encoding=json`, { signal });
  say("Live");
  const parser = createParser({
    onEvent: ({ id: sequence, event, data }) =>
      prepend("live", `${sequence ?? "–"}  ${event ?? ""}  ${data.slice(0, 300)}`),
  });
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    parser.feed(part.value);
  }
  say("The stream ended; reload to go on.");
}

const fail = (error: unknown): void => {
  if (error instanceof Error && error.name !== "AbortError") say(error.message);
};
let current = new AbortController();

function show(library: Listing): void {
  current.abort();
  current = new AbortController();
  byId("live").replaceChildren();
  byId("log").replaceChildren();
  showLog(library).catch(fail);
  follow(library, current.signal).catch(fail);
}

async function start(): Promise<void> {
  const answer = await ask("/v1/libraries?limit=1000");
  const { libraries } = (await answer.json()) as { libraries: readonly Listing[] };
  const select = byId("library");
  select.append(...libraries.map(({ id, name }) => new Option(name, id)));
  select.addEventListener("change", () => {
    const chosen = libraries.find(({ id }) => id === (select as HTMLSelectElement).value);
    if (chosen !== undefined) show(chosen);
  });
  const [first] = libraries;
  if (first === undefined) say("There is no library yet.");
  else show(first);
  await showFigures();
  setInterval(() => void showFigures().catch(fail), EVERY_MS);
}

start().catch(fail);
