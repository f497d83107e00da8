import { expect, test } from "bun:test";
import { decodeJwt, SignJWT } from "jose";
import { createId } from "../../src/base/id.ts";
import { formatSummary, splitBatches } from "../../src/tools/commands/index-tree.ts";
import { parseCount, parseNames, parseTtl } from "../../src/tools/commands/parse.ts";
import { tokenIdOf } from "../../src/tools/commands/revoke.ts";
import { formatWelcome } from "../../src/tools/commands/serve.ts";
import { pickLibrary } from "../../src/tools/connect.ts";
import { fileIdOf, type FileChange } from "../../src/tools/diff.ts";

/** Runs the command line in a process of its own, in a world where no service and no data exist. */
async function run(...words: string[]) {
  const child = Bun.spawn([process.execPath, "src/tools/cli.ts", ...words], {
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: process.env["PATH"] ?? "",
      SYNCLINE_SECRET: "a secret that is long enough for every verifier",
      SYNCLINE_URL: "http://127.0.0.1:1",
    },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

test.each([
  { words: ["dance"], says: "unknown command 'dance'" },
  { words: ["token"], says: "required option '--role <role>'" },
  { words: ["token", "--role", "boss"], says: "Allowed choices are reader, writer, owner" },
  { words: ["token", "--role", "reader", "--ttl", "5y"], says: "Write a time such as" },
  { words: ["token", "--role", "reader", "--library", "home"], says: "takes the id of a library" },
  { words: ["tail", "--after", "-1"], says: "Write a whole number from 0" },
  { words: ["tail", "--types", "Album"], says: "Write names of types" },
  { words: ["tail", "--url", "localhost:8787"], says: "starts with http://" },
  { words: ["import", "a.xlsx", "--type", "tag"], says: "pass --format" },
  { words: ["revoke"], says: "either a token or --subject" },
  { words: ["index"], says: "missing required argument 'dir'" },
  { words: ["new"], says: "missing required argument 'folder'" },
])("what is not understood is told and ends with 2: $words", async ({ words, says }) => {
  const { stdout, stderr, code } = await run(...words);
  expect(stderr).toContain(says);
  expect(stderr).not.toContain("    at ");
  expect([stdout, code]).toEqual(["", 2]);
});

test.each([
  { folder: "src", says: "is not empty" },
  { folder: "README.md", says: "is a file" },
])("an application is made in a folder of its own: not in $folder", async ({ folder, says }) => {
  const { stderr, code } = await run("new", folder);
  expect(stderr).toContain(says);
  expect(code).toBe(1);
});

test("a service that cannot be reached is one sentence, and ends with 1", async () => {
  const { stderr, code } = await run("library", "list");
  expect(stderr).toStartWith("error: The service at http://127.0.0.1:1 cannot be reached");
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(code).toBe(1);
});

test("help names every command, and is no error", async () => {
  const { stdout, code } = await run("--help");
  for (const name of [
    "new",
    "dev",
    "start",
    "token",
    "revoke",
    "library",
    "tail",
    "index",
    "import",
  ]) {
    expect(stdout).toContain(`  ${name} `);
  }
  expect(code).toBe(0);
});

test("token prints a token and nothing else", async () => {
  const library = createId();
  const { stdout, stderr, code } = await run(
    ...`token --role writer --library ${library}`.split(" "),
    ...`--types album,tag --ttl 1h --subject laptop`.split(" "),
  );
  const { sub, grants, exp = 0, iat = 0 } = decodeJwt(stdout.trim());
  expect({ sub, grants }).toEqual({
    sub: "laptop",
    grants: [{ library, role: "writer", types: ["album", "tag"] }],
  });
  expect(exp - iat).toBeCloseTo(3_600, -1);
  expect([stderr, code]).toEqual(["", 0]);
});

test("times, counts and names are read, and what is none is refused", () => {
  expect(["90s", "15m", "1h", "30d", "none"].map(parseTtl)).toEqual([
    90,
    900,
    3_600,
    2_592_000,
    null,
  ]);
  expect(parseCount("0")).toBe(0);
  expect(parseNames("album, file_tag")).toEqual(["album", "file_tag"]);
  for (const text of ["0s", "1", "h", "-1h", ""]) expect(() => parseTtl(text)).toThrow();
  for (const text of ["1.5", "1e3", "", "99999999999999999999"])
    expect(() => parseCount(text)).toThrow();
});

test("the library that is meant is the only one, or the one of that name, or asked for", () => {
  const home = { id: "1", name: "Home", head: 0 };
  const work = { id: "2", name: "Work", head: 0 };
  expect(pickLibrary([home])).toBe("1");
  expect(pickLibrary([home, work], "Work")).toBe("2");
  expect(() => pickLibrary([])).toThrow("syncline library create NAME");
  expect(() => pickLibrary([home, work])).toThrow("  1  Home\n  2  Work");
  expect(() => pickLibrary([home], "Garden")).toThrow("No library is called Garden");
});

test("a token is revoked by its id, and one without by the fingerprint the service knows", async () => {
  expect(tokenIdOf("an-id")).toBe("an-id");
  const key = new TextEncoder().encode("secret");
  const signer = new SignJWT({ jti: "j1" }).setProtectedHeader({ alg: "HS256" });
  expect(tokenIdOf(await signer.sign(key))).toBe("j1");
  expect(() => tokenIdOf("no.token")).toThrow("This is not a token");
});

test("changes are cut into batches by count and by bytes, and stay in their order", () => {
  const changes = Array.from({ length: 2_500 }, (_, index): FileChange => ({
    resource_type: "file",
    operation: "update",
    id: fileIdOf(createId(), String(index)),
    data: { name: "x".repeat(index === 1_500 ? 5_000_000 : 1) },
  }));
  const batches = [...splitBatches(changes)];
  expect(batches.map(({ length }) => length)).toEqual([1_000, 500, 1, 999]);
  expect(batches.flat()).toEqual(changes);
});

test("the summary of an index has all counts, the time and the rate", () => {
  const counts = {
    addedCount: 1,
    changedCount: 2,
    movedCount: 3,
    deletedCount: 4,
    foundCount: 100,
  };
  expect(formatSummary({ ...counts, entriesWritten: 10 }, 500)).toBe(
    "1 added, 2 changed, 3 moved, 4 deleted of 100 found; 10 log entries written; 0.50 s, 200 files/s",
  );
});

test("the welcome of dev starts with the address alone on its line", () => {
  const told = { url: "http://127.0.0.1:8787", dataDir: "/data", token: "t0k3n" };
  const text = formatWelcome({ ...told, hasAlbums: true, hasDemo: true });
  expect(text.split("\n")[0]).toBe("Syncline listens at http://127.0.0.1:8787");
  expect(text).toContain("export TOKEN=t0k3n");
  expect(text).toContain("Commit an album");
  // An installed package has no demonstration to build.
  const installed = formatWelcome({ ...told, hasAlbums: true, hasDemo: false });
  expect(installed).toContain("Commit an album");
  expect(installed).not.toContain("demonstration");
  // Without the bundled plugins there is nothing to commit it to, and nothing to demonstrate.
  const own = formatWelcome({ ...told, hasAlbums: false, hasDemo: false });
  expect(own).not.toMatch(/album|demonstration/);
  expect(own).toContain("/inspector#token=t0k3n");
});
