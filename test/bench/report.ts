import { mkdir } from "node:fs/promises";
import { isReached, type Aim, type Comparison, type Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";
import { formatNumber } from "./number.ts";

/** What `.cache/bench.json` keeps of each part: figures of other runs stay beside them. */
interface Measured {
  readonly machine: Machine;
  readonly figures: readonly Figure[];
  readonly comparison?: Comparison;
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

function formatAim(aim: Aim | null, unit: string): string {
  if (aim === null) return "";
  const sign = aim.is === "at least" ? "≥" : "≤";
  return `${sign} ${formatNumber(aim.limit)}${aim.of === "ratio" ? "" : ` ${unit}`}`;
}

const HEAD = ["Figure", "Syncline", "Against", "measured", "ratio", "aim", ""];

function toCells(figure: Figure): string[] {
  const { name, unit, value, bound, boundValue, ratio, aim } = figure;
  const verdict = aim === null ? "" : isReached(figure) ? "yes" : "no";
  return [
    name,
    `${formatNumber(value)} ${unit}`,
    bound,
    formatNumber(boundValue),
    formatNumber(ratio),
    formatAim(aim, unit),
    verdict,
  ];
}

/** The figures as a Markdown table, which is also readable as it is. */
export function formatTable(figures: readonly Figure[]): string {
  return formatRows(HEAD, figures.map(toCells));
}

export function formatRows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...body.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(head), rule, ...body.map(line)].join("\n");
}

const BEGIN = "<!-- bench: written by `bun run bench --readme` -->";
const BEGIN_PEERS = "<!-- bench: written by `bun run bench cache --peers --readme` -->";
const END = "<!-- /bench -->";

function describe(measured: readonly Measured[]): string {
  const machines = measured.map(({ machine }) => {
    const { cpu, cores, memoryGib, bun, date } = machine;
    return `${cpu}, ${cores} cores, ${memoryGib} GiB, Bun ${bun}, ${date.slice(0, 10)}`;
  });
  return `${[...new Set(machines)].join("; ")}.`;
}

function replaceBlock(text: string, begin: string, body: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(END, from);
  if (from < 0 || to < from) throw new Error(`README.md has no place for the table: ${begin}`);
  return `${text.slice(0, from)}${begin}\n\n${body}\n\n${text.slice(to)}`;
}

/** Replaces the tables of the README by the results that are kept. */
export async function writeReadme(results: Results): Promise<void> {
  const path = `${root}/README.md`;
  let text = await Bun.file(path).text();
  const measured = Object.values(results).filter(({ figures }) => figures.length > 0);
  if (measured.length > 0) {
    const table = formatTable(measured.flatMap(({ figures }) => figures));
    text = replaceBlock(text, BEGIN, `${describe(measured)}\n\n${table}`);
  }
  const compared = Object.values(results).filter(({ comparison }) => comparison !== undefined);
  for (const one of compared) {
    const { head = [], rows = [] } = one.comparison ?? {};
    text = replaceBlock(text, BEGIN_PEERS, `${describe([one])}\n\n${formatRows(head, rows)}`);
  }
  await Bun.write(path, text);
}
