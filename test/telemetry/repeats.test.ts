import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { openTelemetry } from "../../src/runtime/observe.ts";

interface Line {
  readonly level: string;
  readonly library_id: string;
  readonly repeated?: number;
}

function createLog() {
  const lines: Line[] = [];
  const time = { ms: 0 };
  const clock = { ...systemClock, monotonic: () => time.ms };
  const write = (line: string) => void lines.push(JSON.parse(line) as Line);
  const { telemetry } = openTelemetry({ level: "info", isPretty: false, write, clock });
  const fail = (library_id: string, reason: string) =>
    telemetry.log("error", "The head could not be read.", { library_id, error: new Error(reason) });
  return { lines, time, telemetry, fail };
}

test("an error that says the same again within a minute is counted, and told with the next line", () => {
  const { lines, time, fail } = createLog();
  for (time.ms = 0; time.ms <= 60_000; time.ms += 1_000) fail("a", "away");
  expect(lines.map(({ repeated }) => repeated)).toEqual([undefined, 59]);
});

test("an error of another library, or for another reason, is written at once", () => {
  const { lines, fail } = createLog();
  for (let times = 0; times < 2; times += 1) {
    fail("a", "away");
    fail("b", "away");
    fail("a", "full");
  }
  expect(lines.map(({ library_id }) => library_id)).toEqual(["a", "b", "a"]);
});

test("what is no error is written as often as it happens", () => {
  const { lines, telemetry } = createLog();
  for (let times = 0; times < 3; times += 1) telemetry.log("info", "A library was opened.");
  expect(lines).toHaveLength(3);
});
