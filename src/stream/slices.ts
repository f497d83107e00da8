/** More than this is handed over piece by piece. */
const SLICE_BYTES = 65_536;

/** Where bytes go, one piece after the other. */
export interface Outlet {
  readonly isFree: () => boolean;
  readonly put: (bytes: Uint8Array) => void;
}

/** What was written and has yet to be handed over. */
export interface Slices {
  readonly isEmpty: boolean;
  readonly write: (bytes: Uint8Array) => void;
  /** The outlet has taken something. */
  readonly more: () => void;
}

/**
 * Holds a large frame back until there is room for its next piece. The frame is one for all readers; what
 * a runtime is given it may copy for each of them, and a thousand that wait would each have a copy.
 */
export function createSlices({ isFree, put }: Outlet): Slices {
  let waiting: Uint8Array[] = [];
  const more = (): void => {
    for (let [first] = waiting; first !== undefined && isFree(); [first] = waiting) {
      const rest = first.subarray(SLICE_BYTES);
      waiting = rest.length === 0 ? waiting.slice(1) : [rest, ...waiting.slice(1)];
      put(first.subarray(0, SLICE_BYTES));
    }
  };
  return {
    get isEmpty() {
      return waiting.length === 0;
    },
    write: (bytes) => {
      if (waiting.length === 0 && bytes.length <= SLICE_BYTES) return put(bytes);
      waiting.push(bytes);
      more();
    },
    more,
  };
}
