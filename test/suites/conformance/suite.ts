import { afterAll, beforeAll, describe } from "bun:test";
import { actions } from "./actions.ts";
import { auth } from "./auth.ts";
import { batch } from "./batch.ts";
import { bulk } from "./bulk.ts";
import { commit } from "./commit.ts";
import { documents } from "./documents.ts";
import { errors } from "./errors.ts";
import { libraries } from "./libraries.ts";
import { log } from "./log.ts";
import { queries } from "./queries.ts";
import { reads } from "./reads.ts";
import { snapshot } from "./snapshot.ts";
import { stream } from "./stream.ts";
import { streamEnds } from "./stream-ends.ts";
import { createLibrary } from "./world.ts";
import type { Library, Target, Topic } from "./world.ts";

const topics: Readonly<Record<string, Topic>> = {
  documents,
  libraries,
  auth,
  errors,
  commit,
  batch,
  bulk,
  actions,
  reads,
  queries,
  log,
  snapshot,
  stream,
  "stream ends": streamEnds,
};

/** Everything `API.md` promises, asked of a service over HTTP, whatever it runs on. */
export function conformanceSuite(
  name: string,
  start: () => Promise<Target & { stop(): Promise<void> }>,
): void {
  describe(name, () => {
    const started = Promise.withResolvers<Target>();
    let stop = async (): Promise<void> => {};
    beforeAll(async () => {
      const running = await start();
      stop = () => running.stop();
      started.resolve(running);
    }, 60_000);
    afterAll(() => stop());
    for (const [title, topic] of Object.entries(topics)) {
      describe(title, () => {
        let made: Promise<Library> | null = null;
        topic(() => (made ??= started.promise.then(createLibrary)));
      });
    }
  });
}
