import { expect, test } from "bun:test";
import { counters, gauges, histograms, phases, spans } from "../../src/telemetry/names.ts";

test("every figure and span that is promised is recorded somewhere", async () => {
  const files = [...new Bun.Glob("**/*.ts").scanSync("src")].filter(
    (file) => file !== "telemetry/names.ts",
  );
  const texts = await Promise.all(files.map((file) => Bun.file(`src/${file}`).text()));
  const source = texts.join("\n");
  const names = [counters, gauges, histograms, phases, spans].flatMap((table) =>
    Object.keys(table),
  );
  const unused = names.filter(
    (name) => !new RegExp(`(count|gauge|observe|span|time)\\(\\s*"${name}"`).test(source),
  );
  expect(unused).toEqual([]);
});
