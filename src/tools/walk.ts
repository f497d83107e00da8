import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { reasonOf } from "../base/reason.ts";

/** A file or directory as it was found. Paths are relative to the tree's top and use `/`. */
export interface FoundFile {
  readonly path: string;
  /** Null directly below the top, which is the location itself. */
  readonly parentPath: string | null;
  readonly name: string;
  readonly extension: string | null;
  /** Bytes; 0 for what is not a regular file. */
  readonly size: number;
  readonly mime: string | null;
  /** RFC 3339 in UTC with milliseconds; null for a time that cannot be written so. */
  readonly modifiedAt: string | null;
}

/** What a walk could not read, counted while it runs. */
export interface WalkReport {
  unreadableCount: number;
  /** The first of them, with the reason. */
  readonly unreadable: string[];
  /** Where something is that could not be read: what the library has there may still be true. */
  readonly unreadPaths: Set<string>;
}

/** The `mime` of a directory record. */
export const DIRECTORY_MIME = "inode/directory";

const unreadableListed = 10;
const statsAtOnce = 64;
const mimes = new Map<string, string | null>();

/** A report for `walk` to fill. */
export function createWalkReport(): WalkReport {
  return { unreadableCount: 0, unreadable: [], unreadPaths: new Set() };
}

/**
 * Yields everything below `top`, hidden files too, each directory before what it holds and names in
 * order. Symbolic links are entries of their own and are not followed. What cannot be read is
 * counted in `report` and left out. @throws when `top` itself cannot be read
 */
export async function* walk(top: string, report: WalkReport): AsyncGenerator<FoundFile> {
  const waiting: (string | null)[] = [null];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const below: string[] = [];
    for (const names of chunksOf(await list(top, at, report), statsAtOnce)) {
      const found = await Promise.all(names.map((name) => inspect(top, { at, name, report })));
      for (const file of found) {
        if (file === null) continue;
        yield file;
        if (file.mime === DIRECTORY_MIME) below.push(file.path);
      }
    }
    for (const path of below.reverse()) waiting.push(path);
  }
}

/** What follows the last dot, as the file plugin has it; a leading dot starts no extension. */
export function extensionOf(name: string): string | null {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 ? name.slice(dot + 1, dot + 65) : "";
  return extension === "" ? null : extension;
}

async function list(top: string, at: string | null, report: WalkReport): Promise<string[]> {
  try {
    return (await readdir(join(top, at ?? ""))).sort();
  } catch (error) {
    if (at === null) throw error;
    note(report, at, error);
    return [];
  }
}

interface Place {
  readonly at: string | null;
  readonly name: string;
  readonly report: WalkReport;
}

async function inspect(top: string, { at, name, report }: Place): Promise<FoundFile | null> {
  const path = at === null ? name : `${at}/${name}`;
  try {
    const stats = await lstat(join(top, path));
    const extension = stats.isDirectory() ? null : extensionOf(name);
    return {
      path,
      parentPath: at,
      name,
      extension,
      size: stats.isFile() ? stats.size : 0,
      mime: mimeOf(stats, extension),
      modifiedAt: toTime(stats.mtimeMs),
    };
  } catch (error) {
    note(report, path, error);
    return null;
  }
}

function mimeOf(stats: Stats, extension: string | null): string | null {
  if (stats.isFile()) return extension === null ? null : mimeOfExtension(extension.toLowerCase());
  if (stats.isDirectory()) return DIRECTORY_MIME;
  if (stats.isSymbolicLink()) return "inode/symlink";
  if (stats.isSocket()) return "inode/socket";
  if (stats.isFIFO()) return "inode/fifo";
  return stats.isBlockDevice() ? "inode/blockdevice" : "inode/chardevice";
}

function mimeOfExtension(extension: string): string | null {
  const known = mimes.get(extension);
  if (known !== undefined) return known;
  const [type = ""] = Bun.file(`file.${extension}`).type.split(";");
  const mime = type === "" || type === "application/octet-stream" ? null : type;
  mimes.set(extension, mime);
  return mime;
}

function toTime(mtimeMs: number): string | null {
  const time = new Date(Math.floor(mtimeMs));
  const year = time.getUTCFullYear();
  return year >= 0 && year <= 9_999 ? time.toISOString() : null;
}

function note(report: WalkReport, path: string, error: unknown): void {
  report.unreadableCount += 1;
  // What went away while the tree was walked is gone.
  const isGone = error instanceof Error && "code" in error && error.code === "ENOENT";
  if (!isGone) report.unreadPaths.add(path);
  if (report.unreadable.length >= unreadableListed) return;
  report.unreadable.push(`${path}: ${reasonOf(error)}`);
}

function* chunksOf(names: readonly string[], size: number): Generator<readonly string[]> {
  for (let start = 0; start < names.length; start += size) yield names.slice(start, start + size);
}
