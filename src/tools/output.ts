/** Writes one line of a command's result. Progress and notices go to stderr, never here. */
export function writeLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Tells the person something that is not part of the result. */
export function writeNotice(line: string): void {
  process.stderr.write(`${line}\n`);
}
