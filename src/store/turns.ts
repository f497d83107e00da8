import type { Clock } from "../base/clock.ts";

/** How long work may hold everything else up before the next waits for a turn of the event loop. */
const TURN_MS = 20;

/** Begins work when its turn comes, and resolves as it does. */
export type Turn = <Result>(work: () => Promise<Result>) => Promise<Result>;

/**
 * Files answer before the caller goes on, so that whoever reads page after page never ends its turn
 * of the event loop, nor do a hundred who read one page each: they would hold up every other request,
 * and the lease. What is returned begins one work after the other, as long as the turn is young, and
 * the rest in the turns that follow; it waits for no work that itself waits for something.
 */
export function createTurns(clock: Clock): Turn {
  const waiting: (() => void)[] = [];
  /** The turn in which work was begun last; null when that is over. */
  let turn: { readonly since: number; isWorking: boolean } | null = null;
  const begin = (): void => {
    if (waiting.length === 0) return;
    if (turn === null) {
      turn = { since: clock.monotonic(), isWorking: false };
      clock.defer(() => {
        turn = null;
        begin();
      });
    } else if (turn.isWorking || clock.monotonic() - turn.since >= TURN_MS) return;
    turn.isWorking = true;
    waiting.shift()?.();
  };
  return async (work) => {
    const begun = new Promise<void>((resolve) => void waiting.push(resolve));
    begin();
    await begun;
    const own = turn;
    try {
      return await work();
    } finally {
      if (own !== null) own.isWorking = false;
      begin();
    }
  };
}
