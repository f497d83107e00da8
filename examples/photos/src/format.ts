export function formatSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), 4);
  const unit = ["B", "kB", "MB", "GB", "TB"][power] ?? "";
  return `${(bytes / 1_000 ** power).toFixed(power > 1 ? 1 : 0)} ${unit}`;
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function formatDate(text: string | null): string {
  return text === null ? "" : dates.format(new Date(text));
}

export const count = (number: number, one: string, many = `${one}s`) =>
  `${number.toLocaleString()} ${number === 1 ? one : many}`;
