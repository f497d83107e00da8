import {
  createContext,
  useCallback,
  useContext,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { KeyboardEvent, MouseEvent, ReactNode } from "react";
import type { FileRecord } from "./sync.ts";
import type { GridPlaces, ScrollerProps } from "./virtual-grid.tsx";

type Modifiers = Pick<MouseEvent, "shiftKey" | "ctrlKey" | "metaKey">;

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** The one that was chosen last, from which keys go on. */
  readonly lead: string | null;
  /** A click: alone, added with Ctrl or Cmd, or up to here with Shift. */
  readonly click: (id: string, event: Modifiers, all: readonly { readonly id: string }[]) => void;
  readonly selectAll: (all: readonly { readonly id: string }[]) => void;
  readonly clear: () => void;
}

const Context = createContext<Selection | null>(null);

export function useSelection(): Selection {
  const selection = useContext(Context);
  if (selection === null) throw new Error("A <SelectionProvider> must be around this.");
  return selection;
}

const none = { ids: new Set<string>(), anchor: null as string | null, lead: null as string | null };

/** What is selected in one view. Another view begins with nothing. */
export function SelectionProvider({ view, children }: { view: string; children: ReactNode }) {
  const [held, hold] = useState({ view, ...none });
  const { ids, anchor, lead } = held.view === view ? held : none;
  const selection = useMemo<Selection>(() => {
    const set = (next: typeof none) => hold({ view, ...next });
    return {
      ids,
      lead,
      clear: () => set({ ...none, lead }),
      selectAll: (all) => set({ anchor, lead, ids: new Set(all.map((file) => file.id)) }),
      click: (id, event, all) => {
        if (event.shiftKey && anchor !== null) {
          const [from, to] = [anchor, id].map((one) => all.findIndex((file) => file.id === one));
          const [first = 0, last = 0] = [from ?? 0, to ?? 0].toSorted((a, b) => a - b);
          const chosen = all.slice(Math.max(first, 0), last + 1).map((file) => file.id);
          set({ anchor, lead: id, ids: new Set(chosen) });
        } else if (event.ctrlKey || event.metaKey) {
          const next = new Set(ids);
          if (!next.delete(id)) next.add(id);
          set({ anchor: id, lead: id, ids: next });
        } else set({ anchor: id, lead: id, ids: new Set([id]) });
      },
    };
  }, [ids, anchor, lead, view]);
  return <Context value={selection}>{children}</Context>;
}

/** A list of files as people see it. */
export interface FilesProps {
  readonly files: readonly FileRecord[];
  /** What a screen reader calls the list. */
  readonly label: string;
  readonly onEnd?: (() => void) | undefined;
}

export interface OptionProps {
  readonly file: FileRecord;
  readonly isSelected: boolean;
  readonly isLead: boolean;
  readonly onSelect: (id: string, event: MouseEvent) => void;
}

/** What each file of a list is to a screen reader. */
export const optionProps = ({ file, isSelected, isLead }: OptionProps) => ({
  id: `file-${file.id}`,
  role: "option",
  "aria-selected": isSelected,
  "aria-label": file.name,
  "data-id": file.id,
  "data-selected": isSelected,
  "data-lead": isLead,
});

/** How far each key goes in a list of so many columns. */
function distanceOf(key: string, columns: number): number {
  if (key === "ArrowDown") return columns;
  if (key === "ArrowUp") return -columns;
  if (key === "PageDown") return columns * 10;
  if (key === "PageUp") return -columns * 10;
  if (key === "ArrowRight" && columns > 1) return 1;
  if (key === "ArrowLeft" && columns > 1) return -1;
  if (key === "Home") return -Infinity;
  return key === "End" ? Infinity : 0;
}

/**
 * One list box: it has the focus, arrows move through it, Shift selects up to there, Space adds or takes
 * away, Enter opens.
 */
export function useFileKeys(
  files: readonly FileRecord[],
  label: string,
  onOpen: (file: FileRecord) => void,
) {
  const selection = useSelection();
  const latest = useRef({ selection, files });
  useLayoutEffect(() => {
    latest.current = { selection, files };
  });
  const onSelect = useCallback((id: string, event: MouseEvent) => {
    latest.current.selection.click(id, event, latest.current.files);
  }, []);
  const act = (event: KeyboardEvent, { columns, reveal }: GridPlaces): boolean => {
    const at = files.findIndex(({ id }) => id === selection.lead);
    const distance = distanceOf(event.key, columns);
    if (distance !== 0) {
      const to = at < 0 ? 0 : Math.min(Math.max(at + distance, 0), files.length - 1);
      const file = files[to];
      if (file === undefined) return false;
      selection.click(file.id, { shiftKey: event.shiftKey, ctrlKey: false, metaKey: false }, files);
      reveal(to);
      return true;
    }
    const file = files[at];
    if (event.key === "a" && (event.ctrlKey || event.metaKey)) selection.selectAll(files);
    else if (event.key === "Escape") selection.clear();
    else if (file !== undefined && event.key === " ")
      selection.click(file.id, { shiftKey: false, ctrlKey: true, metaKey: false }, files);
    else if (file !== undefined && event.key === "Enter") onOpen(file);
    else return false;
    return true;
  };
  const listProps = (places: GridPlaces): ScrollerProps => ({
    role: "listbox",
    tabIndex: 0,
    "aria-multiselectable": true,
    "aria-label": label,
    ...(selection.lead === null ? {} : { "aria-activedescendant": `file-${selection.lead}` }),
    "data-count": files.length,
    onClick: (event) => event.target === event.currentTarget && selection.clear(),
    onKeyDown: (event) => {
      if (event.target === event.currentTarget && act(event, places)) event.preventDefault();
    },
  });
  return { selection, onSelect, listProps };
}
