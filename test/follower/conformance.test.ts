/** What a replica hands on is answered as its leader answers: the suite's topics of writes, asked of a replica. */
import { afterAll, describe } from "bun:test";
import { actions } from "../suites/conformance/actions.ts";
import { batch } from "../suites/conformance/batch.ts";
import { mutations } from "../suites/conformance/mutations.ts";
import { createLibrary } from "../suites/conformance/world.ts";
import type { Library } from "../suites/conformance/world.ts";
import { createPair } from "../support/pair.ts";
import { tokenFor } from "../support/world.ts";

/** A service that follows each library it is asked to create, and has caught up when it is asked. */
async function startReplica() {
  const pair = await createPair();
  const { leader, phone } = pair;
  const create = async (request: Request): Promise<Response> => {
    const made = await leader.app.fetch(request);
    const { id: libraryId } = (await made.clone().json()) as { id: string };
    const { token } = leader;
    const { following } = phone.service;
    await (await following.follow({ libraryId, leaderUrl: "http://leader", token })).settle();
    return made;
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/libraries") return create(request);
      const follower = phone.service.following.find(pathname.split("/")[3] ?? "");
      await follower?.settle();
      return phone.app.fetch(request);
    },
  });
  return {
    url: server.url.origin,
    ownerToken: leader.token,
    tokenFor,
    stop: async () => {
      await server.stop(true);
      await pair[Symbol.asyncDispose]();
    },
  };
}

const running = startReplica();
afterAll(async () => (await running).stop());

for (const [title, topic] of Object.entries({ batch, actions, mutations })) {
  describe(`a replica: ${title}`, () => {
    let made: Promise<Library> | null = null;
    topic(() => (made ??= running.then(createLibrary)));
  });
}
