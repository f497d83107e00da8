/** How many sentences of one kind are kept: of a hundred thousand equal ones the number says more. */
const PER_KIND = 10;

/** What differs, told by kind, so that one kind in great number hides no other and fills no memory. */
export interface Findings {
  add(kind: string, sentence: string): void;
  readonly count: number;
  /** The first of each kind, and how many more there are. */
  list(): string[];
}

export function createFindings(): Findings {
  const kinds = new Map<string, { readonly first: string[]; count: number }>();
  let count = 0;
  return {
    add: (kind, sentence) => {
      const known = kinds.get(kind) ?? { first: [], count: 0 };
      kinds.set(kind, known);
      if (known.count < PER_KIND) known.first.push(sentence);
      known.count += 1;
      count += 1;
    },
    get count() {
      return count;
    },
    list: () =>
      [...kinds.values()].flatMap(({ first, count: all }) =>
        all > PER_KIND ? [...first, `… and ${all - PER_KIND} more of these.`] : first,
      ),
  };
}
