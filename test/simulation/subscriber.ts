import type { WireEvent } from "../../src/stream/event.ts";
import { readFrames } from "../support/events.ts";
import type { Random } from "./random.ts";

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export interface SubscriberOptions {
  readonly fetch: Fetch;
  readonly random: Random;
  readonly nodeNames: readonly string[];
  readonly library: string;
  readonly token: string;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * A client that follows the stream from the beginning, on any node, and comes back with its cursor
 * whenever the stream ends. It keeps what a cache would keep: records by id, and where it stands.
 */
export function createSubscriber(options: SubscriberOptions) {
  const { random } = options;
  const records = new Map<string, { readonly version: number; readonly name: unknown }>();
  const faults: string[] = [];
  let cursor = 0;
  const life = { isStopped: false };

  const put = (resource: Record<string, unknown>): void => {
    const id = resource["id"] as string;
    const version = resource["version"] as number;
    const known = records.get(id);
    if (known === undefined || known.version <= version) {
      records.set(id, { version, name: resource["name"] });
    }
  };
  const apply = ({ envelope, kind }: WireEvent): void => {
    const { sequence, span } = envelope;
    if (sequence === undefined || span === undefined) return;
    if (sequence <= cursor) faults.push(`event ${sequence} came again at cursor ${cursor}`);
    if (sequence - span > cursor)
      faults.push(`a gap: cursor ${cursor}, event ${sequence}, span ${span}`);
    cursor = sequence;
    const { data } = kind;
    if (kind.type === "ResourceChanged" && data["resource"] !== null)
      put(data["resource"] as Record<string, unknown>);
    if (kind.type === "ResourceBatchChanged") {
      for (const resource of data["resources"] as Record<string, unknown>[]) put(resource);
      for (const id of data["deleted_ids"] as string[]) records.delete(id);
    }
    if (kind.type === "ResourceDeleted") records.delete(data["resource_id"] as string);
  };
  const listen = async (): Promise<void> => {
    const node = random.pick(options.nodeNames);
    const response = await options.fetch(
      `http://${node}/v1/libraries/${options.library}/events?encoding=json&after=${cursor}`,
      { headers: { authorization: `Bearer ${options.token}` } },
    );
    if (!response.ok) return;
    let budget = random.below(60);
    for await (const { id, event, data } of readFrames(response)) {
      if (life.isStopped || (budget -= 1) < -40) return;
      if (event === "reset") {
        faults.push(`reset at cursor ${cursor}: ${data ?? ""}`);
        return;
      }
      if (event === null && id !== null) cursor = Number(id);
      else if (data !== null && event !== "hello" && event !== "heartbeat" && event !== "goodbye")
        apply(JSON.parse(data) as WireEvent);
    }
  };
  return {
    records,
    faults,
    get cursor() {
      return cursor;
    },
    stop: () => {
      life.isStopped = true;
    },
    run: async (): Promise<void> => {
      while (!life.isStopped) {
        try {
          await listen();
        } catch {
          // The stream ended badly; the cursor brings it back.
        }
        await options.sleep(1 + random.below(2_000));
      }
    },
  };
}
