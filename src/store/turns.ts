import type { Clock } from "../base/clock.ts";

/** How long work may hold everything else up before it waits for a turn. */
const TURN_MS = 20;

/**
 * Files answer before the caller goes on, so that whoever reads page after page never ends its turn
 * of the event loop: a snapshot would hold up every other request, and the lease. What is returned
 * resolves at once in a turn that is young, else in the next.
 */
export function createTurns(clock: Clock): () => Promise<void> {
  /** When the turn began, as far as anybody here asked. */
  let since: number | null = null;
  return async () => {
    if (since === null) {
      since = clock.monotonic();
      clock.defer(() => (since = null));
    } else if (clock.monotonic() - since >= TURN_MS) {
      await new Promise<void>((done) => clock.defer(done));
    }
  };
}
