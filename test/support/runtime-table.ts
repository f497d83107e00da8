/**
 * Writes the README's table of runtimes from the report of the conformance suite, so that it says
 * what passed and nothing else.
 *
 *     bun test/support/runtime-table.ts .cache/junit-runtimes.xml
 */
import { readFile, writeFile } from "node:fs/promises";

interface Count {
  readonly tests: number;
  readonly passed: number;
}

const begin = "<!-- runtimes: written by `bun run runtimes` -->";
const end = "<!-- /runtimes -->";

/** What passed, by runtime and then by topic. */
export function readReport(xml: string): Map<string, Map<string, Count>> {
  const runtimes = new Map<string, Map<string, Count>>();
  let current = new Map<string, Count>();
  for (const [, attributes = ""] of xml.matchAll(/<testsuite ([^>]*)>/g)) {
    const read = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
    const name = read("name");
    if (name.endsWith(".test.ts")) continue;
    if (/ on (file|sqld)$/.test(name)) {
      current = new Map();
      runtimes.set(name, current);
      continue;
    }
    const tests = Number(read("tests"));
    const missed = Number(read("failures")) + Number(read("skipped"));
    current.set(name, { tests, passed: tests - missed });
  }
  return runtimes;
}

/** The table as Markdown: a row a topic, a column a runtime and its storage. */
export function formatTable(runtimes: ReadonlyMap<string, ReadonlyMap<string, Count>>): string {
  const names = [...runtimes.keys()];
  const topics = [...new Set(names.flatMap((name) => [...(runtimes.get(name)?.keys() ?? [])]))];
  const cell = ({ tests, passed }: Count) => `${passed} of ${tests}`;
  const total = (counts: Iterable<Count>): Count => {
    let [tests, passed] = [0, 0];
    for (const count of counts) [tests, passed] = [tests + count.tests, passed + count.passed];
    return { tests, passed };
  };
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    row(["promises kept", ...names]),
    row(["---", ...names.map(() => "---")]),
    ...topics.map((topic) =>
      row([
        topic,
        ...names.map((name) => cell(runtimes.get(name)?.get(topic) ?? { tests: 0, passed: 0 })),
      ]),
    ),
    row(["all", ...names.map((name) => cell(total(runtimes.get(name)?.values() ?? [])))]),
  ].join("\n");
}

if (import.meta.main) {
  const table = formatTable(readReport(await readFile(process.argv[2] ?? "", "utf8")));
  const readme = await readFile("README.md", "utf8");
  const [before, after] = [readme.indexOf(begin), readme.indexOf(end)];
  if (before < 0 || after < before) throw new Error("README.md has no place for the table.");
  const head = readme.slice(0, before + begin.length);
  await writeFile("README.md", `${head}\n\n${table}\n\n${readme.slice(after)}`);
}
