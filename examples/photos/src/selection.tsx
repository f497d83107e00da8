import { createContext, useContext, useMemo, useState } from "react";
import type { ReactNode } from "react";
import type { FileRecord } from "./sync.ts";

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** A click: alone, added with Ctrl or Cmd, or up to here with Shift. */
  readonly click: (
    id: string,
    event: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean },
    all: readonly FileRecord[],
  ) => void;
  readonly clear: () => void;
}

const Context = createContext<Selection | null>(null);

export function useSelection(): Selection {
  const selection = useContext(Context);
  if (selection === null) throw new Error("A <SelectionProvider> must be around this.");
  return selection;
}

const none = { ids: new Set<string>(), anchor: null as string | null };

/** What is selected in one view. Another view begins with nothing. */
export function SelectionProvider({ view, children }: { view: string; children: ReactNode }) {
  const [held, hold] = useState({ view, ...none });
  const { ids, anchor } = held.view === view ? held : none;
  const selection = useMemo<Selection>(() => {
    const set = (next: typeof none) => hold({ view, ...next });
    return {
      ids,
      clear: () => set(none),
      click: (id, event, all) => {
        if (event.shiftKey && anchor !== null) {
          const [from, to] = [anchor, id].map((one) => all.findIndex((file) => file.id === one));
          const [first = 0, last = 0] = [from ?? 0, to ?? 0].toSorted((a, b) => a - b);
          set({ anchor, ids: new Set(all.slice(first, last + 1).map((file) => file.id)) });
        } else if (event.ctrlKey || event.metaKey) {
          const next = new Set(ids);
          if (!next.delete(id)) next.add(id);
          set({ anchor: id, ids: next });
        } else set({ anchor: id, ids: new Set([id]) });
      },
    };
  }, [ids, anchor, view]);
  return <Context value={selection}>{children}</Context>;
}
