import { readAnswer } from "../base/answer.ts";
import { createId } from "../base/id.ts";
import { SyncError } from "../protocol/errors.ts";
import type { Problem } from "../protocol/errors.ts";
import { fromProblem, leaveUnread, problemOf, sendWrite, toDelay } from "./upstream.ts";
import type { Upstream } from "./upstream.ts";

/** What the leader said of the first of a line, and why it says nothing of the rest; null when there is none. */
export interface LineAnswer {
  readonly answers: readonly LineEntry[];
  readonly error: SyncError | null;
}

/** The answer to one mutation; where it stands in the leader's log, if it changed anything. */
export interface LineEntry {
  readonly problem?: Problem;
  readonly sequence?: unknown;
  readonly last_sequence?: unknown;
}

const ANSWER_BYTES = 67_108_864;

/** Of an answer that broke off, or is none. It may do so each time: it counts as what nobody foresaw. */
export function unreadable(cause?: unknown): SyncError {
  const detail = "The leader's answer to a write cannot be read.";
  return new SyncError("internal", { requestId: createId() }, { cause, detail });
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** What an answer says. @throws when it breaks off or is none */
async function readSaid(response: Response): Promise<unknown> {
  const bytes = await readAnswer(response, ANSWER_BYTES);
  if (bytes === null) throw unreadable();
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function read(response: Response): Promise<LineAnswer> {
  const { answers, stopped } = (await readSaid(response)) as {
    readonly answers?: unknown;
    readonly stopped?: object;
  };
  const isSound = Array.isArray(answers) && answers.length > 0 && answers.every(isObject);
  if (!isSound) throw unreadable();
  const error = stopped === undefined ? null : fromProblem(200, stopped);
  return { answers: answers as LineEntry[], error };
}

/**
 * What the leader says of one write that it took. @throws internal when it cannot be read: then nobody knows
 * until where the write is to be kept, or whether it was the leader that answered
 */
export async function readEntry(response: Response): Promise<LineEntry> {
  const said = await readSaid(response).catch((error: unknown) => {
    throw unreadable(error);
  });
  if (!isObject(said)) throw unreadable();
  return said as LineEntry;
}

/**
 * Sends mutations to the leader in one request. Resolves to the response itself when it refuses the
 * line as a whole. @throws overloaded when the leader cannot be reached
 */
export async function sendLine(
  upstream: Upstream,
  line: { readonly deviceId: string; readonly mutations: readonly object[] },
): Promise<LineAnswer | Response> {
  const { deviceId, mutations } = line;
  const response = await sendWrite(upstream, "/mutations", { deviceId, body: { mutations } });
  if (response.ok)
    return read(response).catch((error: unknown) => ({ answers: [], error: unreadable(error) }));
  const error = toDelay(response.status, await problemOf(response));
  if (error === null) return response;
  await leaveUnread(response);
  return { answers: [], error };
}
