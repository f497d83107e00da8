import { afterAll, beforeAll, describe } from "bun:test";
import { actions } from "./actions.ts";
import { auth } from "./auth.ts";
import { batch } from "./batch.ts";
import { bulk } from "./bulk.ts";
import { commit } from "./commit.ts";
import { devices } from "./devices.ts";
import { documents } from "./documents.ts";
import { errors } from "./errors.ts";
import { libraries } from "./libraries.ts";
import { log } from "./log.ts";
import { mutations } from "./mutations.ts";
import { queries } from "./queries.ts";
import { reads } from "./reads.ts";
import { listenToSilence, silence } from "./silence.ts";
import { setup } from "./setup.ts";
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
  mutations,
  reads,
  queries,
  log,
  snapshot,
  stream,
  "stream ends": streamEnds,
  devices,
  setup,
};

/** Everything `API.md` promises, asked of a service over HTTP, whatever it runs on. */
export function conformanceSuite(
  name: string,
  start: () => Promise<Target & { stop(): Promise<void> }>,
): void {
  // All suites of a file start at once, so that their silences pass together.
  const running = start();
  const heard = running.then(listenToSilence);
  heard.catch(() => {});
  describe(name, () => {
    beforeAll(async () => void (await running), 60_000);
    afterAll(async () => (await running).stop(), 20_000);
    for (const [title, topic] of Object.entries(topics)) {
      describe(title, () => {
        let made: Promise<Library> | null = null;
        topic(() => (made ??= running.then(createLibrary)));
      });
    }
    describe("silence", () => silence(() => heard));
  });
}
