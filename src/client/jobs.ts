import type { Store } from "./api.ts";
import type { Client } from "./client.ts";
import { createStore } from "./store.ts";

/** Long work of the service, such as a bulk or a merge. */
export interface Job {
  readonly id: string;
  /** What it does: "bulk", "merge". */
  readonly name: string;
  readonly status: "running" | "complete" | "interrupted" | "failed";
  /** From 0 to 1; null while nobody knows how much is to come. */
  readonly progress: number | null;
  readonly message: string;
}

/** How many that have ended are kept. */
const endedMax = 20;

/** What was heard of jobs since, the latest last: in memory only (EVT-35). */
export interface Jobs extends Store<readonly Job[]> {
  /** Forgets one that has ended. */
  dismiss(id: string): void;
  /** Hears no more. */
  close(): void;
}

/** Follows the jobs of a client's library. */
export function openJobs({ onEvent }: Pick<Client, "onEvent">): Jobs {
  const { getSnapshot, set, subscribe } = createStore<readonly Job[]>([]);
  const put = (job: Job): void => {
    const others = getSnapshot().filter(({ id }) => id !== job.id);
    const ended = others.filter(({ status }) => status !== "running");
    const surplus = new Set(ended.slice(0, Math.max(0, ended.length - endedMax)));
    set([...others.filter((other) => !surplus.has(other)), job]);
  };
  const close = onEvent((event) => {
    if (event === null) return;
    const { type, data } = event.kind;
    const { jobId, operationToken, interrupted, ...told } = data;
    if (type === "Job") put({ ...told, id: String(jobId) } as Job);
    if (type !== "BulkOperationCompleted") return;
    // It is in the log, so that it comes also to whoever missed the last word of the job itself.
    const known = getSnapshot().find(({ id }) => id === operationToken);
    if (known?.status !== "running") return;
    put(
      interrupted === true
        ? { ...known, status: "interrupted" }
        : { ...known, status: "complete", progress: 1 },
    );
  });
  return {
    getSnapshot,
    subscribe,
    close,
    dismiss: (id) => set(getSnapshot().filter((job) => job.id !== id || job.status === "running")),
  };
}
