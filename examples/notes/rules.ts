import { compareText } from "syncline/rules";
import type { ClientRules } from "syncline/rules";

interface Note {
  readonly title: string;
}

/** What a client knows of the list without asking, so that it is right offline too. */
export const rules = {
  queries: {
    "note.list": {
      returns: "note",
      matches: () => true,
      compare: (left: Note, right: Note) => compareText(left.title, right.title),
    },
  },
  actions: {},
  absent: { note: { done: false } },
} satisfies ClientRules;
