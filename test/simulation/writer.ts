import type { Random } from "./random.ts";

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** What a client believes of one change it asked for. Only what it saw, nothing else. */
export interface Attempt {
  readonly mutationId: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The mutation it was sent in a line behind; null for one that is alone or the first. */
  readonly behind: string | null;
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

/** How a mutation stands in a line. */
function toLineMember({ mutationId: mutation_id, path, body }: Attempt): object {
  const { mutation_id: _own, ...rest } = body;
  if (path === "commit" || path === "batch") return { mutation_id, [path]: rest };
  return { mutation_id, action: path.slice("actions/".length), ...rest };
}

function toOutcome(answer: Record<string, unknown>): Attempt["outcome"] {
  if ("problem" in answer) return "refused";
  const last = (answer["sequence"] ?? answer["last_sequence"] ?? null) as number | null;
  const first = (answer["first_sequence"] ?? last) as number | null;
  return { sequence: first, last };
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
  const compose = (behind: string | null = null): Attempt => {
    const mutationId = random.id();
    const kind = random.next();
    if (kind < 0.1) {
      // An action is a transaction of its own, which reads before it writes.
      const body = { input: { id: random.pick(ids) }, mutation_id: mutationId };
      return { mutationId, path: "actions/album.delete", body, behind, outcome: null };
    }
    if (kind < 0.7) {
      return {
        mutationId,
        path: "commit",
        body: { ...change(), mutation_id: mutationId },
        behind,
        outcome: null,
      };
    }
    const seen = new Set<unknown>();
    const changes = Array.from({ length: 1 + random.below(6) }, change).filter(
      ({ id }) => !seen.has(id) && seen.add(id),
    );
    const body = { changes, mutation_id: mutationId };
    return { mutationId, path: "batch", body, behind, outcome: null };
  };
  const composeLine = (): Attempt[] => {
    const line = [compose()];
    const length = random.chance(0.3) ? 2 + random.below(8) : 1;
    while (line.length < length) line.push(compose(line.at(-1)?.mutationId));
    return line;
  };
  /** Asks for the first, or for all of a line that are still open. */
  const ask = async (line: readonly Attempt[]): Promise<void> => {
    const [first] = line;
    if (first === undefined) return;
    const isAlone = line.length === 1;
    const node = random.pick(options.nodeNames);
    const path = isAlone ? first.path : "mutations";
    const body = isAlone ? first.body : { mutations: line.map(toLineMember) };
    const response = await options.fetch(`http://${node}/v1/libraries/${options.library}/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${options.token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.ok) {
      const answers = isAlone ? [answer] : (answer["answers"] as Record<string, unknown>[]);
      for (const [at, one] of answers.entries()) {
        const attempt = line[at];
        if (attempt !== undefined) attempt.outcome = toOutcome(one);
      }
    } else if (
      isAlone &&
      [404, 409, 422].includes(response.status) &&
      answer["code"] !== "stale_epoch"
    )
      first.outcome = "refused";
  };
  return {
    attempts,
    stop: () => {
      life.isStopped = true;
    },
    /** Writes until stopped; what is open then stays open, as for a client that was switched off. */
    run: async (): Promise<void> => {
      while (!life.isStopped) {
        let line = composeLine();
        attempts.push(...line);
        while (line.length > 0 && !life.isStopped) {
          try {
            await ask(line);
          } catch {
            // Whether it happened is unknown: that is what the mutation id is for.
          }
          line = line.filter(({ outcome }) => outcome === null);
          await options.sleep(1 + random.below(3_000));
        }
      }
    },
  };
}
