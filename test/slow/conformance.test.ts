/**
 * Conformance: the HTTP contract, asked of a running service by a stranger who has its address and
 * a token, on each runtime and storage.
 */
import { conformanceSuite } from "../suites/conformance/suite.ts";
import {
  fileStorage,
  sqldStorage,
  startBun,
  startDeno,
  startWorkerd,
} from "../support/runtimes.ts";

conformanceSuite("Bun on file", async () => startBun(await fileStorage()));
conformanceSuite("Bun on sqld", async () => startBun(await sqldStorage()));
conformanceSuite("Deno on file", async () => startDeno(await fileStorage()));
conformanceSuite("Deno on sqld", async () => startDeno(await sqldStorage("byPath")));
conformanceSuite("workerd on sqld", async () => startWorkerd(await sqldStorage("byPath")));
