import * as v from "valibot";
import { reasonOf } from "../base/reason.ts";
import type { Api, ApiRequest } from "./api.ts";
import { countOf } from "./count.ts";
import { ApiError, CommandError, describeProblem } from "./errors.ts";
import { backoffMs } from "../base/backoff.ts";
import { systemClock, type Clock } from "../base/clock.ts";

const answerSchema = v.looseObject({
  token: v.string(),
  affected_count: v.number(),
  sequence: v.optional(v.nullable(v.number()), null),
  failed_count: v.optional(v.number(), 0),
  failures: v.optional(v.array(v.looseObject({ index: v.number(), problem: v.unknown() })), []),
});

const stateSchema = v.looseObject({ state: v.string(), affected_count: v.number() });

/** What a bulk operation came to. */
export type BulkAnswer = v.InferOutput<typeof answerSchema>;

/** One bulk operation. `lines` is called for each attempt and must yield the same lines again. */
export interface BulkUpload {
  readonly library: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The caller's UUID for this operation: with it the service continues what was cut off. */
  readonly token: string;
  /** NDJSON, each line with its end. */
  readonly lines: () => AsyncIterable<string>;
  readonly clock?: Clock;
}

const attemptsMax = 4;
const chunkChars = 65_536;

/**
 * Sends lines to the bulk endpoint while they are made, and sends them again under the same token
 * when the connection drops. @throws ApiError, CommandError with what was written until then
 */
export async function uploadBulk(api: Api, upload: BulkUpload): Promise<BulkAnswer> {
  const path = `/v1/libraries/${upload.library}/bulk`;
  for (let attempt = 0; ; attempt += 1) {
    const failures: unknown[] = [];
    const request: ApiRequest = {
      method: "POST",
      query: { ...upload.query, token: upload.token },
      headers: { "content-type": "application/x-ndjson" },
      body: () => toStream(upload.lines(), (error) => void failures.push(error)),
    };
    try {
      return await api.json(path, answerSchema, request);
    } catch (error) {
      // Lines that cannot be made are not the connection's fault, and would fail again.
      if (failures.length > 0) throw await withProgress(api, upload, failures[0]);
      if (error instanceof ApiError || attempt + 1 >= attemptsMax) {
        throw await withProgress(api, upload, error);
      }
      await (upload.clock ?? systemClock).sleep(backoffMs(attempt, Math.random()));
    }
  }
}

/** The listed failures of a bulk operation, one line each; `unread` says why a record could not be made. */
export function describeFailures(
  answer: BulkAnswer,
  unread: ReadonlyMap<number, string> = new Map(),
): string[] {
  const lines = answer.failures.map(
    ({ index, problem }) => `  record ${index}: ${unread.get(index) ?? describeProblem(problem)}`,
  );
  const unlisted = answer.failed_count - answer.failures.length;
  return unlisted > 0 ? [...lines, `  and ${unlisted} more`] : lines;
}

async function withProgress(api: Api, upload: BulkUpload, error: unknown): Promise<unknown> {
  const path = `/v1/libraries/${upload.library}/bulk/${upload.token}`;
  const clock = upload.clock ?? systemClock;
  let state = await api.json(path, stateSchema).catch(() => null);
  // What had arrived is written yet.
  for (let attempt = 0; state?.state === "running" && attempt < attemptsMax; attempt += 1) {
    await clock.sleep(backoffMs(attempt, Math.random()));
    state = await api.json(path, stateSchema).catch(() => null);
  }
  if (state === null || state.affected_count === 0) return error;
  return new CommandError(
    `${reasonOf(error)}\nWritten before it ended: ${countOf(state.affected_count, "record")} (${state.state}).`,
    { cause: error },
  );
}

/** Pulled by the connection, so that a slow service slows the reading down. */
function toStream(
  lines: AsyncIterable<string>,
  onFailure: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const iterator = lines[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        let text = "";
        while (text.length < chunkChars) {
          const next = await iterator.next();
          if (next.done === true) {
            if (text !== "") controller.enqueue(encoder.encode(text));
            controller.close();
            return;
          }
          text += next.value;
        }
        controller.enqueue(encoder.encode(text));
      } catch (error) {
        onFailure(error);
        controller.error(error);
      }
    },
    cancel: async () => void (await iterator.return?.()),
  });
}
