/**
 * Conformance: the HTTP contract, asked of a running service by a stranger who has its address and
 * a token, on each runtime and storage.
 */
import { conformanceSuite } from "../suites/conformance/suite.ts";
import { startBun } from "../support/runtimes.ts";

conformanceSuite("Bun on file", () => startBun());
