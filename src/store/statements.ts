/** Text, quoted names and comments may hold a semicolon that ends nothing. */
const tokens = /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[^]*?(?:\*\/|$)|\w+|[^\s\w]/g;

/**
 * The statements of a script, because a driver that is given several may run the first and pass over the
 * rest in silence. The body of a trigger ends where SQLite says that it does: with END after a semicolon.
 */
export function splitStatements(script: string): readonly string[] {
  const statements: string[] = [];
  let start = 0;
  let words: string[] = [];
  const take = (end: number): void => {
    if (words.some((word) => word !== ";")) statements.push(script.slice(start, end).trim());
    start = end;
    words = [];
  };
  for (const { 0: token, index } of script.matchAll(tokens)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    words.push(token.toLowerCase());
    const isTrigger = /^create( temp| temporary)? trigger/.test(words.slice(0, 3).join(" "));
    const isWhole = !isTrigger || words.slice(-3).join(" ") === "; end ;";
    if (token === ";" && isWhole) take(index + 1);
  }
  take(script.length);
  return statements;
}
