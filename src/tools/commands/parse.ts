import { InvalidArgumentError } from "commander";

/** Option values as commander wants them read. Each throws InvalidArgumentError with a sentence. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("Write a whole number from 0.");
}

/** Like `parseCount`, without 0. */
export function parsePositive(text: string): number {
  const value = parseCount(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("Write a whole number from 1.");
}

/** Reads a list with commas into its names. */
export function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => /^[a-z][a-z0-9_]*$/.test(name))) return names;
  throw new InvalidArgumentError("Write names of types with commas between them, as in album,tag.");
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Reads `90s`, `15m`, `1h` or `30d` into seconds, and `none` into null. */
export function parseTtl(text: string): number | null {
  if (text === "none") return null;
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError("Write a time such as 90s, 15m, 1h or 30d, or none.");
}
