import { randomBytes } from "node:crypto";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { basename, join, resolve, sep } from "node:path";
import type { Command } from "commander";
import { dependencies, devDependencies, name, version } from "../../../package.json";
import { createId } from "../../base/id.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";

const root = resolve(import.meta.dirname, "../../..");
const versions: Readonly<Record<string, string>> = { ...devDependencies, ...dependencies };

/** Adds `new`. */
export function addNew(program: Command): void {
  program
    .command("new <folder>")
    .description("make an application to start from: a plugin, a page, one command that runs both")
    .action(async (folder: string) => {
      await makeApplication(resolve(folder));
      writeLine(
        `Made ${folder}. Now:\n\n  cd ${folder} && npm install && npm run dev\n\n` +
          "In earnest: `npm run build && npm start`; the password stands in .env.",
      );
    });
}

/** @throws CommandError where something is already */
async function makeApplication(folder: string): Promise<void> {
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    if (error.code === "ENOTDIR") throw new CommandError(`${folder} is a file; name a new folder.`);
    throw error;
  });
  if (there.length > 0) throw new CommandError(`${folder} is not empty; name a new folder.`);
  await mkdir(folder, { recursive: true });
  await pack(folder);
  await cp(join(root, "examples/notes"), folder, { recursive: true });
  const manifest = JSON.stringify(describe(folder), null, 2);
  await writeFile(join(folder, "package.json"), `${manifest}\n`);
  // An id of its own: two applications that are tried at one address must not meet in the browser.
  const users = join(folder, "users.ts");
  const text = await readFile(users, "utf8");
  await writeFile(users, text.replace(/(?<=library = ")[^"]+/, createId()));
  await writeFile(join(folder, ".env"), `APP_PASSWORD=${randomBytes(12).toString("base64url")}\n`);
  // What npm would leave out of a package.
  await writeFile(join(folder, ".gitignore"), "node_modules/\ndata/\ndist/\n.env\n");
}

/** Puts Syncline into the folder, as it would be published. @throws CommandError with what went wrong */
async function pack(folder: string): Promise<void> {
  const command = [process.execPath, "pm", "pack", "--quiet", "--destination", folder];
  // A clone is built first; what npm installed is built.
  if (root.split(sep).includes("node_modules")) command.push("--ignore-scripts");
  const run = Bun.spawn(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
  ]);
  if ((await run.exited) === 0) return;
  throw new CommandError(
    `${root} cannot be packed; \`npm run setup\` may help.\n\n${said.join("")}`,
  );
}

/** The manifest; what it needs has the versions that Syncline is tested with. */
function describe(folder: string) {
  const pick = (...names: string[]) =>
    Object.fromEntries(names.map((one) => [one, `^${versions[one]}`]));
  // It is on no registry yet.
  const own = `file:${name}-${version}.tgz`;
  return {
    name:
      basename(folder)
        .toLowerCase()
        .replaceAll(/[^\w.-]+/g, "-")
        .replace(/^[._-]+/, "") || "notes",
    private: true,
    type: "module",
    scripts: {
      dev: "syncline dev -- vite",
      build: "vite build",
      check: "tsc",
      start: "syncline start",
    },
    dependencies: { [name]: own, ...pick("drizzle-orm", "hono", "react", "react-dom", "valibot") },
    devDependencies: pick("@types/react", "@types/react-dom", "bun", "typescript", "vite"),
  };
}
