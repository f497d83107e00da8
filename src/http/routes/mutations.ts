import { Hono } from "hono";
import { createLine } from "../../commit/line.ts";
import { changeSchema, lineBatchSchema, lineSchema } from "../../protocol/commit.ts";
import type { Service } from "../../service.ts";
import { answer, readBody } from "../body.ts";
import { authenticate, authorOf, bodyLimits, openFor, parse } from "../context.ts";
import type { AppEnv } from "../context.ts";
import { toAnswers } from "../line.ts";
import type { Mutation } from "../line.ts";
import { act, commitMany, commitOne } from "../mutation.ts";
import type { Asking } from "../mutation.ts";

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
          mutationId: mutation.mutation_id,
        };
        return run({ service, library, capability, context }, mutation);
      }),
    );
    return answer(c.req.raw, toAnswers(c, service, results));
  });
}
