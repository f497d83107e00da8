import { PAGE_BYTES } from "../base/size.ts";
import { decodeRow } from "../resource/compile.ts";
import type { CompiledResource, Row } from "../resource/compile.ts";
import type { Read } from "./database.ts";
import type { Turn } from "./turns.ts";

/** Rows that are read before anything is known of their size, and at once when they were small. */
const FIRST = 16;
const MOST = 256;

const PAGE = { limit: 500, bytes: PAGE_BYTES };

export interface Page {
  readonly rows: readonly Row[];
  /** Nothing comes after them. */
  readonly isLast: boolean;
}

/**
 * Reads rows in the order of their ids, behind `after`: at most `limit`, and about `bytes` of JSON,
 * because a thousand records may be a kilobyte or half a gigabyte.
 */
export async function readPage(
  read: Read,
  resource: CompiledResource,
  {
    after,
    limit,
    bytes,
  }: { readonly after: string; readonly limit: number; readonly bytes: number },
): Promise<Page> {
  const rows: Row[] = [];
  let size = 0;
  for (let [from, count] = [after, Math.min(limit, FIRST)]; ;) {
    const [found = []] = await read([{ sql: resource.sql.page, args: [from, count] }]);
    for (const [json] of found as [string][]) {
      size += json.length;
      rows.push(decodeRow(resource, json));
    }
    if (found.length < count) return { rows, isLast: true };
    if (rows.length >= limit || size >= bytes) return { rows, isLast: false };
    from = rows.at(-1)?.["id"] as string;
    const fitting = Math.floor(((bytes - size) / size) * rows.length);
    count = Math.min(limit - rows.length, MOST, Math.max(1, fitting));
  }
}

/** All rows behind `from`, a page at a time; `turn` lets everything else have a turn in between. */
export async function* readPages(
  read: Read,
  resource: CompiledResource,
  { from = "", turn = (work) => work() }: { readonly from?: string; readonly turn?: Turn } = {},
): AsyncGenerator<readonly Row[]> {
  for (let after = from; ;) {
    const asked = { ...PAGE, after };
    const { rows, isLast } = await turn(() => readPage(read, resource, asked));
    yield rows;
    if (isLast) return;
    after = rows.at(-1)?.["id"] as string;
  }
}
