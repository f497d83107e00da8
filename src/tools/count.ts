/** A count and what is counted: `1 file`, `2 files`. `many` is for words that take no `s`. */
export function countOf(count: number | string, one: string, many = `${one}s`): string {
  return `${count} ${String(count) === "1" ? one : many}`;
}
