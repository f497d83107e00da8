import type { Clock } from "../base/clock.ts";
import { createUpstream, toError } from "../follower/upstream.ts";
import type { Fetch, SnapshotLine } from "../follower/upstream.ts";
import { readAnswer } from "../base/answer.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Side } from "./side.ts";

export interface RemoteAddress {
  readonly url: string;
  /** What that service gave us. */
  readonly token: string;
}

const REPLY_MS = 60_000;
const REPLY_BYTES = 1_048_576;
const PAGE = 1_000;

/** The other service, over its own routes. */
export function createRemoteSide(
  options: { readonly fetch: Fetch; readonly clock: Clock },
  { url, token }: RemoteAddress,
): Side {
  const { fetch } = options;
  const upstreamOf = (libraryId: string) => createUpstream({ ...options, url, libraryId, token });
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${url}/v1/libraries${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(REPLY_MS),
    }).catch((cause: unknown) => {
      const detail = `${url} cannot be reached.`;
      throw new SyncError("overloaded", { retryAfterSeconds: 1 }, { cause, detail });
    });
    if (!response.ok) throw await toError(response);
    const bytes = await readAnswer(response, REPLY_BYTES);
    return JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())) as Record<
      string,
      unknown
    >;
  };
  return {
    snapshot: (libraryId, afterKey) => upstreamOf(libraryId).snapshot(null, afterKey),
    log: (libraryId, after) => upstreamOf(libraryId).log(after, PAGE, null),
    merge: async (libraryId, lines: readonly SnapshotLine[]) => {
      const { merged_count, refused } = await post(`/${libraryId}/merge`, { lines });
      const mergedCount = Number(merged_count);
      return { mergedCount, refused: Array.isArray(refused) ? refused.map(String) : [] };
    },
    create: async (id, name) => {
      await post("", { id, name }).catch((error: unknown) => {
        if (!(error instanceof SyncError) || error.code !== "already_exists") throw error;
      });
    },
    handOver: async (libraryId, { into, head, historyId, leader }) => {
      const order = { into, head, history_id: historyId, leader };
      return (await post(`/${libraryId}/hand-over`, order))["is_done"] === true;
    },
  };
}
