import { createJournal } from "./journal.ts";
import type { Keeper, KeeperParts, Persistence } from "./persistence.ts";
import { load } from "./stored.ts";
import { toQueue, toRestored } from "./restore.ts";

/** Keeps a client on a disk. */
export function createKeeper(disk: Persistence, parts: KeeperParts): Keeper {
  const { cache, rules, onComplaint } = parts;
  const journal = createJournal(disk, parts);
  cache.onDirty = journal.note;
  return {
    ...journal,
    load: async (life) => {
      const restored = toRestored(await disk.load(), rules);
      if (restored === null || life.isClosed) return null;
      load(cache.state, restored.cache);
      const { identity, damagedCount } = restored;
      if (damagedCount > 0)
        onComplaint(`${damagedCount} rows on disk were damaged; they are asked for again.`);
      return identity;
    },
    loadQueue: async () => {
      const { mutations, damagedCount } = toQueue(await disk.loadQueue());
      if (damagedCount > 0) onComplaint(`${damagedCount} waiting mutations cannot be read.`);
      return mutations;
    },
    putMutations: (mutations) => disk.putMutations(mutations),
    dropMutations: (ids) => disk.dropMutations(ids),
    close: () => disk.close(),
    destroy: () => disk.destroy(),
  };
}
