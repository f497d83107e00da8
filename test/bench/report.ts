import { mkdir } from "node:fs/promises";
import { isReached, type Aim, type Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";

/** What `.cache/bench.json` keeps of each part: figures of other runs stay beside them. */
export interface Measured {
  readonly machine: Machine;
  readonly figures: readonly Figure[];
}
export type Results = Readonly<Record<string, Measured>>;

const root = `${import.meta.dir}/../..`;
const JSON_PATH = `${root}/.cache/bench.json`;

export async function readResults(): Promise<Results> {
  const file = Bun.file(JSON_PATH);
  return (await file.exists()) ? ((await file.json()) as Results) : {};
}

export async function writeResults(results: Results): Promise<void> {
  await mkdir(`${root}/.cache`, { recursive: true });
  await Bun.write(JSON_PATH, `${JSON.stringify(results, null, 2)}\n`);
}

const format = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 });

function formatAim(aim: Aim | null, unit: string): string {
  if (aim === null) return "";
  const sign = aim.is === "at least" ? "≥" : "≤";
  return `${sign} ${format(aim.limit)}${aim.of === "ratio" ? "" : ` ${unit}`}`;
}

const HEAD = ["Figure", "Syncline", "Against", "measured", "ratio", "aim", ""];

function toCells(figure: Figure): string[] {
  const { name, unit, value, bound, boundValue, ratio, aim } = figure;
  const verdict = aim === null ? "" : isReached(figure) ? "yes" : "no";
  return [
    name,
    `${format(value)} ${unit}`,
    bound,
    format(boundValue),
    format(ratio),
    formatAim(aim, unit),
    verdict,
  ];
}

/** The figures as a Markdown table, which is also readable as it is. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [HEAD, ...figures.map(toCells)];
  const widths = HEAD.map((_, column) =>
    Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  const [head = HEAD, ...body] = rows;
  return [line(head), rule, ...body.map(line)].join("\n");
}

const BEGIN = "<!-- bench: written by `bun run bench --readme` -->";
const END = "<!-- /bench -->";

/** Replaces the table of the README by the results that are kept. */
export async function writeReadme(results: Results): Promise<void> {
  const path = `${root}/README.md`;
  const text = await Bun.file(path).text();
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`README.md has no place for the table: ${BEGIN}`);
  const measured = Object.values(results);
  const machines = measured.map(({ machine }) => {
    const { cpu, cores, memoryGib, bun, date } = machine;
    return `${cpu}, ${cores} cores, ${memoryGib} GiB, Bun ${bun}, ${date.slice(0, 10)}`;
  });
  const table = formatTable(measured.flatMap(({ figures }) => figures));
  const block = `${BEGIN}\n\n${[...new Set(machines)].join("; ")}.\n\n${table}\n\n`;
  await Bun.write(path, text.slice(0, from) + block + text.slice(to));
}
