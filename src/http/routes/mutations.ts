import { Hono } from "hono";
import type { InferOutput } from "valibot";
import { createLine, isRefusal } from "../../commit/line.ts";
import { changeSchema, lineBatchSchema, lineSchema } from "../../protocol/commit.ts";
import { toProblem } from "../../protocol/errors.ts";
import type { Service } from "../../service.ts";
import { answer, readBody } from "../body.ts";
import { authenticate, authorOf, bodyLimits, openFor, parse, toKnown } from "../context.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { act, commitMany, commitOne } from "../mutation.ts";
import type { Asking } from "../mutation.ts";

type Mutation = InferOutput<typeof lineSchema>["mutations"][number];

/** One mutation of a line, as its own route would do it. Reaches the committer before it awaits. */
async function run(asking: Asking, mutation: Mutation): Promise<object> {
  const { mutation_id, commit, batch, action, input } = mutation;
  try {
    if (action !== undefined) return await act(asking, action, input);
    if (batch === undefined)
      return await commitOne(asking, parse(changeSchema, commit), mutation_id);
    const { changes, operation } = parse(lineBatchSchema, batch);
    return await commitMany(asking, changes, operation);
  } catch (error) {
    // Also what never came to the committer.
    asking.context.place?.failed(error);
    throw error;
  }
}

/** The answers in their order, up to the first that is not to be had now. @throws when that is the first */
function toAnswers(
  c: AppContext,
  service: Service,
  results: readonly PromiseSettledResult<object>[],
) {
  const { pathname } = new URL(c.req.url);
  const answers: object[] = [];
  for (const result of results) {
    if (result.status === "fulfilled") {
      answers.push(result.value);
      continue;
    }
    const error: unknown = result.reason;
    if (!isRefusal(error) && answers.length === 0) throw error;
    const problem = toProblem(toKnown(c, service, error), pathname);
    if (!isRefusal(error)) return { answers, stopped: problem };
    answers.push({ problem });
  }
  return { answers };
}

/** A line of mutations: each its own transaction under its own id, in their order, in one request. */
export function mutationRoutes(service: Service): Hono<AppEnv> {
  const large = bodyLimits(service, service.limits.batchBodyBytes);
  return new Hono<AppEnv>().post("/v1/libraries/:library/mutations", async (c) => {
    const capability = await authenticate(c, service);
    const library = await openFor(c, service, { role: "writer" });
    const { mutations } = parse(lineSchema, await readBody(c.req.raw, large));
    const author = await authorOf(c, library);
    const placeAt = createLine();
    const results = await Promise.allSettled(
      mutations.map((mutation, at) => {
        const context = {
          author,
          place: placeAt(at),
          mutationId: mutation.mutation_id.toLowerCase(),
        };
        return run({ service, library, capability, context }, mutation);
      }),
    );
    return answer(c.req.raw, toAnswers(c, service, results));
  });
}
