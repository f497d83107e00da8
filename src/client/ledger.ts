import { recordKey } from "./record.ts";
import type { RecordRef } from "./record.ts";
import type { StoredRecord } from "./snapshot.ts";

/** How large the rows on disk are, by estimate, so that they stay within a bound. */
export interface Ledger {
  put(record: StoredRecord): void;
  drop(ref: RecordRef): void;
  clear(): void;
  /** Takes out what is beyond the bound, longest unwritten first, and answers it. */
  takeSurplus(): readonly RecordRef[];
}

export function createLedger(bytesMax: number): Ledger {
  // In the order of their last write.
  const sizes = new Map<string, { readonly ref: RecordRef; readonly bytes: number }>();
  let total = 0;
  const drop = (ref: RecordRef): void => {
    const key = recordKey(ref);
    total -= sizes.get(key)?.bytes ?? 0;
    sizes.delete(key);
  };
  return {
    put: (stored) => {
      drop(stored);
      const { type, id, record } = stored;
      const bytes = JSON.stringify(record).length + 100;
      sizes.set(recordKey(stored), { ref: { type, id }, bytes });
      total += bytes;
    },
    drop,
    clear: () => {
      sizes.clear();
      total = 0;
    },
    takeSurplus: () => {
      const surplus: RecordRef[] = [];
      for (const { ref } of sizes.values()) {
        if (total <= bytesMax) break;
        drop(ref);
        surplus.push(ref);
      }
      return surplus;
    },
  };
}
