import type { Random } from "./random.ts";

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** What a client believes of one change it asked for. Only what it saw, nothing else. */
export interface Attempt {
  readonly mutationId: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Null while nobody knows. */
  outcome: { readonly sequence: number | null; readonly last: number | null } | "refused" | null;
}

export interface WriterOptions {
  readonly fetch: Fetch;
  readonly random: Random;
  readonly nodeNames: readonly string[];
  readonly library: string;
  readonly token: string;
  /** The records that all writers contend for. */
  readonly ids: readonly string[];
  readonly sleep: (ms: number) => Promise<void>;
}

/** A client that writes, and asks again with the same mutation id until somebody answers. */
export function createWriter(options: WriterOptions) {
  const { random, ids } = options;
  const attempts: Attempt[] = [];
  const life = { isStopped: false };

  const change = (): Record<string, unknown> => {
    const id = random.pick(ids);
    const operation = random.pick(["upsert", "upsert", "update", "delete", "insert"] as const);
    const data = { name: `name ${random.below(1_000_000)}` };
    return { resource_type: "album", operation, id, ...(operation === "delete" ? {} : { data }) };
  };
  const compose = (): Attempt => {
    const mutationId = random.id();
    const kind = random.next();
    if (kind < 0.1) {
      // An action is a transaction of its own, which reads before it writes.
      const body = { input: { id: random.pick(ids) }, mutation_id: mutationId };
      return { mutationId, path: "actions/album.delete", body, outcome: null };
    }
    if (kind < 0.7) {
      return {
        mutationId,
        path: "commit",
        body: { ...change(), mutation_id: mutationId },
        outcome: null,
      };
    }
    const seen = new Set<unknown>();
    const changes = Array.from({ length: 1 + random.below(6) }, change).filter(
      ({ id }) => !seen.has(id) && seen.add(id),
    );
    return { mutationId, path: "batch", body: { changes, mutation_id: mutationId }, outcome: null };
  };
  const ask = async (attempt: Attempt): Promise<void> => {
    const node = random.pick(options.nodeNames);
    const response = await options.fetch(
      `http://${node}/v1/libraries/${options.library}/${attempt.path}`,
      {
        method: "POST",
        headers: { authorization: `Bearer ${options.token}`, "content-type": "application/json" },
        body: JSON.stringify(attempt.body),
      },
    );
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.ok) {
      const last = (answer["sequence"] ?? answer["last_sequence"] ?? null) as number | null;
      const first = (answer["first_sequence"] ?? last) as number | null;
      attempt.outcome = { sequence: first, last };
    } else if ([404, 409, 422].includes(response.status) && answer["code"] !== "stale_epoch") {
      attempt.outcome = "refused";
    }
  };
  return {
    attempts,
    stop: () => {
      life.isStopped = true;
    },
    /** Writes until stopped; what is open then stays open, as for a client that was switched off. */
    run: async (): Promise<void> => {
      while (!life.isStopped) {
        const attempt = compose();
        attempts.push(attempt);
        while (attempt.outcome === null && !life.isStopped) {
          try {
            await ask(attempt);
          } catch {
            // Whether it happened is unknown: that is what the mutation id is for.
          }
          await options.sleep(1 + random.below(3_000));
        }
      }
    },
  };
}
