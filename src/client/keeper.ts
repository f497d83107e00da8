import { inTime } from "./in-time.ts";
import { createJournal } from "./journal.ts";
import type { Keeper, KeeperParts, Persistence } from "./persistence.ts";
import { load } from "./stored.ts";
import { toQueue, toRestored } from "./restore.ts";

/** Keeps a client on a disk. */
export function createKeeper(disk: Persistence, parts: KeeperParts): Keeper {
  const { cache, clock, rules, onComplaint } = parts;
  const journal = createJournal(disk, parts);
  cache.onDirty = journal.note;
  return {
    ...journal,
    load: async (life) => {
      const restored = toRestored(await inTime(clock, disk.load()), rules);
      if (restored === null || life.isClosed) return null;
      load(cache.state, restored.cache);
      const { identity, damagedCount } = restored;
      if (damagedCount > 0)
        onComplaint(`${damagedCount} rows on disk were damaged; they are asked for again.`);
      return identity;
    },
    loadQueue: async () => {
      const { mutations, damagedCount } = toQueue(await inTime(clock, disk.loadQueue()));
      if (damagedCount > 0) onComplaint(`${damagedCount} waiting mutations cannot be read.`);
      return mutations;
    },
    putMutations: (mutations) => inTime(clock, disk.putMutations(mutations)),
    // Not before what they did is there: a page that ends in between finds one or the other.
    dropMutations: (ids) =>
      inTime(
        clock,
        journal.flush().then(() => disk.dropMutations(ids)),
      ),
    // What it could not do was told already.
    close: () => inTime(clock, disk.close()).catch(() => {}),
    destroy: () => inTime(clock, disk.destroy()),
  };
}
