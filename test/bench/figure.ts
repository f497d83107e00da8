import { median, medianRatio } from "./statistics.ts";

/** What a figure should reach: a bound on its ratio, or on the measured value itself. */
export interface Aim {
  readonly of: "ratio" | "value";
  readonly is: "at least" | "at most";
  readonly limit: number;
}

/** One line of the results: what the service did, against what did the same in the same minutes. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly bound: string;
  readonly boundValue: number;
  readonly ratio: number;
  /** Null for a figure that only informs. */
  readonly aim: Aim | null;
}

export const atLeast = (limit: number, of: Aim["of"] = "ratio"): Aim => ({
  of,
  is: "at least",
  limit,
});
export const atMost = (limit: number, of: Aim["of"] = "ratio"): Aim => ({
  of,
  is: "at most",
  limit,
});

export function isReached({ aim, ratio, value }: Figure): boolean {
  if (aim === null) return true;
  const measured = aim.of === "ratio" ? ratio : value;
  return aim.is === "at least" ? measured >= aim.limit : measured <= aim.limit;
}

/** A figure of rounds that were run in pairs. */
export function toFigure(figure: {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  readonly bound: string;
  readonly boundValues: readonly number[];
  readonly aim?: Aim;
}): Figure {
  const { name, unit, values, bound, boundValues, aim = null } = figure;
  return {
    name,
    unit,
    value: median(values),
    bound,
    boundValue: median(boundValues),
    ratio: medianRatio(values, boundValues),
    aim,
  };
}

/**
 * Runs every contender once a round, in turn, so that a noisy moment disturbs them all. A first
 * round warms them up and is not counted.
 */
export async function interleave<Name extends string, Result>(
  rounds: number,
  runs: Readonly<Record<Name, () => Promise<Result>>>,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(runs) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    Result[]
  >;
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const result = await runs[name]();
      if (round > 0) results[name].push(result);
    }
  }
  return results;
}

/** A table of its own, for what has many contenders. */
export interface Comparison {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a part may vary. */
export interface Settings {
  readonly rounds: number;
  readonly bulkCount: number;
  readonly subscriberCount: number;
}

/** A part of the benchmark: measures, and answers its figures. */
export type Part = (settings: Settings) => Promise<Figure[]>;
