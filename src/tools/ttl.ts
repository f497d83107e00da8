const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** `15m` → 900 seconds; `none` → null. @throws Error that says what is understood */
export function parseTtl(text: string): number | null {
  if (text === "none") return null;
  const [, amount, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const seconds = UNITS[unit];
  if (amount === undefined || seconds === undefined) {
    throw new Error(`"${text}" is not a time: use 90s, 15m, 1h, 30d or none.`);
  }
  return Number(amount) * seconds;
}
