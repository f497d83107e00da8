import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { isId } from "../../src/base/id.ts";
import {
  createIdSeries,
  formatOf,
  parseColumnTypes,
  readRecords,
  type RecordSource,
} from "../../src/tools/records.ts";

interface Written {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly options?: Partial<RecordSource>;
}

/** Writes the content to a file of that name, and reads it back as records. */
async function read({ name, content, options }: Written): Promise<unknown[]> {
  const directory = await mkdtemp(join(tmpdir(), "syncline-records-"));
  try {
    const path = join(directory, name);
    await writeFile(path, content);
    const source = { path, format: formatOf(path), columnTypes: new Map(), idAt: null, ...options };
    const lines = await Array.fromAsync(readRecords(source));
    return lines.map((line): unknown => JSON.parse(line));
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("NDJSON is read line by line, whatever ends the lines and whether the last one ends", async () => {
  const content = '{"id":"1","name":"ä"}\r\n\n{"id":"2"}\n{"id":"3"}';
  expect(await read({ name: "a.ndjson", content })).toEqual([
    { id: "1", name: "ä" },
    { id: "2" },
    { id: "3" },
  ]);
});

test("a gzip file is unpacked, and its bytes are counted as they lie on the disk", async () => {
  const content = gzipSync("id,name\n1,One\n");
  let bytes = 0;
  const options = { onBytes: (count: number) => void (bytes += count) };
  expect(await read({ name: "a.csv.gz", content, options })).toEqual([{ id: "1", name: "One" }]);
  expect(bytes).toBe(content.length);
});

test("characters and lines that lie across many chunks stay whole", async () => {
  const names = Array.from({ length: 30_000 }, (_, index) => `größe-${index}-🙂`);
  const content = names.map((name) => `${JSON.stringify({ id: name })}\n`).join("");
  const records = await read({ name: "a.jsonl", content });
  expect(records).toEqual(names.map((id) => ({ id })));
});

test("a record without an id gets one, the same at each reading", async () => {
  const idAt = createIdSeries(1_700_000_000_000);
  const written = { name: "a.ndjson", content: '{"name":"A"}\n{"id":"own"}\n', options: { idAt } };
  const first = await read(written);
  expect(first).toEqual([{ name: "A", id: idAt(0) }, { id: "own" }]);
  expect(await read(written)).toEqual(first);
});

test("the ids of a series are UUIDs, differ, and sort by index", () => {
  const idAt = createIdSeries(1_700_000_000_000);
  const ids = Array.from({ length: 5_000 }, (_, index) => idAt(index * 1_000));
  expect(ids.every(isId)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

test("CSV values are text, and absent when empty, unless the header says more", async () => {
  const content =
    '\uFEFFid,name,size:number,hidden:boolean,custom:json\n1,"a, ""b""",12.5,true,"[1]"\n2,007,,,\n';
  expect(await read({ name: "a.csv", content })).toEqual([
    { id: "1", name: 'a, "b"', size: 12.5, hidden: true, custom: [1] },
    { id: "2", name: "007" },
  ]);
});

test("the types of columns can be said beside a header that has none", async () => {
  const options = { columnTypes: parseColumnTypes("size:number, hidden:boolean") };
  const content = "id,size,hidden\n1,5,0\n";
  expect(await read({ name: "a.csv", content, options })).toEqual([
    { id: "1", size: 5, hidden: false },
  ]);
});

test("a CSV value that is not of its type is refused with its row and column", async () => {
  const written = { name: "a.csv", content: "id,size:number\n1,5\n2,many\n" };
  await expect(read(written)).rejects.toThrow(
    /^Row 2 of .*: "many" in column size is not a number\.$/,
  );
});

test("where bad rows are passed over, each leaves its place and its reason", async () => {
  const reasons: string[] = [];
  const onUnread = (index: number, reason: string): void => {
    reasons.push(`${index} ${reason.replace(/ of .*a\.csv/, "")}`);
  };
  const content = "id,size:number\n1,5\n2,many\n3,1,2\n4\n5,6\n";
  const records = await read({ name: "a.csv", content, options: { onUnread } });
  expect(records).toEqual([{ id: "1", size: 5 }, null, null, null, { id: "5", size: 6 }]);
  expect(reasons).toEqual([
    '1 Row 2: "many" in column size is not a number.',
    "2 Row 3 has 3 values for 2 columns.",
    "3 Row 4 has 1 value for 2 columns.",
  ]);
});

test("a file that is damaged or not there is one sentence with its name", async () => {
  await expect(read({ name: "a.csv", content: 'id,name\n1,"open\n' })).rejects.toThrow(
    /a\.csv cannot be/,
  );
  await expect(read({ name: "a.ndjson.gz", content: "no gzip" })).rejects.toThrow(
    /gz cannot be read/,
  );
  const source = {
    path: "/nowhere.csv",
    format: "csv",
    columnTypes: new Map(),
    idAt: null,
  } as const;
  await expect(Array.fromAsync(readRecords(source))).rejects.toThrow("/nowhere.csv cannot be read");
});

test("a line that is no JSON goes on to the service, which names its index", async () => {
  const directory = await mkdtemp(join(tmpdir(), "syncline-records-"));
  const path = join(directory, "a.ndjson");
  await writeFile(path, "no json\n[1]\n");
  const source = { path, format: "ndjson", columnTypes: new Map(), idAt: () => "id" } as const;
  expect(await Array.fromAsync(readRecords(source))).toEqual(["no json\n", "[1]\n"]);
  await rm(directory, { recursive: true });
});

test("a format is known by the name of the file, and types by their words", () => {
  expect(formatOf("A.CSV.GZ")).toBe("csv");
  expect(() => formatOf("a.xlsx")).toThrow("pass --format");
  expect(() => parseColumnTypes("size:integer")).toThrow('"size:integer" is not a column');
});
