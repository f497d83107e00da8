import { expect, test } from "bun:test";
import { formatTable, readReport } from "../support/runtime-table.ts";

test("the table of runtimes says how much of each topic passed, failures and skips included", () => {
  const xml = `<testsuites name="bun test" tests="5">
    <testsuite name="test/slow/conformance.test.ts" tests="5" failures="1">
    <testsuite name="Bun on file" tests="3" failures="0" skipped="0">
    <testsuite name="commit" tests="2" failures="0" skipped="0"></testsuite>
    <testsuite name="bulk" tests="1" failures="0" skipped="1"></testsuite></testsuite>
    <testsuite name="Deno on sqld" tests="2" failures="1" skipped="0">
    <testsuite name="commit" tests="2" failures="1" skipped="0"></testsuite></testsuite>`;
  expect(formatTable(readReport(xml)).split("\n")).toEqual([
    "| promises kept | Bun on file | Deno on sqld |",
    "| --- | --- | --- |",
    "| commit | 2 of 2 | 1 of 2 |",
    "| bulk | 0 of 1 | 0 of 0 |",
    "| all | 2 of 3 | 1 of 2 |",
  ]);
});
