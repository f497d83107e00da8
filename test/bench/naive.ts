/**
 * The server a good engineer writes in a day, and the one to beat: Hono over libSQL, durable, one
 * transaction a request, JSON, one `writeSSE` a subscriber. It answers on the routes that the
 * benchmark uses, so the load clients treat both servers alike.
 *
 * @module
 */
import type { Client, InStatement } from "@libsql/client";
import { Hono } from "hono";
import { streamSSE, type SSEStreamingApi } from "hono/streaming";
import { answerCalls } from "./child.ts";
import type { FileRecord } from "./records.ts";
import { openDatabase, toStatements, type Album } from "./tables.ts";

interface AlbumChange {
  readonly id: string;
  readonly data: { readonly name: string; readonly description: string };
}

interface Event {
  readonly sequence: number;
  readonly data: string;
}

type Publish = (events: readonly Event[]) => void;

function toAlbum({ id, data }: AlbumChange): Album {
  if (typeof id !== "string" || typeof data.name !== "string") throw new Error("invalid_record");
  return { id, name: data.name, description: data.description };
}

function toEvent(sequence: number, album: Album): Event {
  const data = { sequence, type: "ResourceChanged", resource_type: "album", resource: album };
  return { sequence, data: JSON.stringify(data) };
}

function addWrites(app: Hono, db: Client, publish: Publish): void {
  app.post("/v1/libraries/:library/commit", async (c) => {
    const album = toAlbum(await c.req.json<AlbumChange>());
    const [, logged] = await db.batch(toStatements(album), "write");
    const sequence = Number(logged?.rows[0]?.sequence);
    publish([toEvent(sequence, album)]);
    return c.json({ sequence, resource: album });
  });
  app.post("/v1/libraries/:library/batch", async (c) => {
    const { changes } = await c.req.json<{ changes: AlbumChange[] }>();
    const albums = changes.map(toAlbum);
    const results = await db.batch(albums.flatMap(toStatements), "write");
    const sequences = albums.map((_, index) => Number(results[index * 2 + 1]?.rows[0]?.sequence));
    publish(albums.map((album, index) => toEvent(sequences[index] ?? 0, album)));
    return c.json({ last_sequence: sequences.at(-1), resources: albums });
  });
}

const ROWS_PER_STATEMENT = 500;
const STATEMENTS_PER_TRANSACTION = 4;
const ROW = "(?, ?, ?, ?, ?, ?, ?, ?)";

function toInsert(records: readonly FileRecord[]): InStatement {
  const now = Date.now();
  return {
    sql: `INSERT INTO file (id, location_id, name, extension, size, mime, modified_at, updated_at)
          VALUES ${Array(records.length).fill(ROW).join(", ")}`,
    args: records.flatMap((record) => [
      record.id,
      record.location_id,
      record.name,
      record.extension,
      record.size,
      record.mime,
      record.modified_at,
      now,
    ]),
  };
}

function parseFile(line: string): FileRecord {
  const record = JSON.parse(line) as FileRecord;
  if (typeof record.id !== "string" || typeof record.name !== "string") {
    throw new Error("invalid_record");
  }
  return record;
}

async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield lines;
  }
  if (rest !== "") yield [rest];
}

function addBulk(app: Hono, db: Client, publish: Publish): void {
  app.post("/v1/libraries/:library/bulk", async (c) => {
    let records: FileRecord[] = [];
    let affectedCount = 0;
    const flush = async (): Promise<void> => {
      const statements: InStatement[] = [];
      for (let at = 0; at < records.length; at += ROWS_PER_STATEMENT) {
        statements.push(toInsert(records.slice(at, at + ROWS_PER_STATEMENT)));
      }
      await db.batch(statements, "write");
      affectedCount += records.length;
      records = [];
    };
    for await (const lines of readLines(c.req.raw.body ?? new ReadableStream())) {
      for (const line of lines) {
        records.push(parseFile(line));
        if (records.length === ROWS_PER_STATEMENT * STATEMENTS_PER_TRANSACTION) await flush();
      }
    }
    if (records.length > 0) await flush();
    const logged = await db.execute({
      sql: `INSERT INTO log (resource_type, record_id, change_type, data, created_at)
            VALUES ('file', ?, 'bulk_insert', ?, ?) RETURNING sequence`,
      args: [crypto.randomUUID(), JSON.stringify({ affectedCount }), Date.now()],
    });
    const sequence = Number(logged.rows[0]?.sequence);
    publish([
      { sequence, data: JSON.stringify({ type: "BulkOperationCompleted", affectedCount }) },
    ]);
    return c.json({ affected_count: affectedCount, sequence });
  });
}

function addStream(app: Hono, db: Client): Publish {
  const subscribers = new Set<SSEStreamingApi>();
  const send = (stream: SSEStreamingApi, { sequence, data }: Event): Promise<void> =>
    stream.writeSSE({ id: `${sequence}`, event: "ResourceChanged", data });

  app.get("/v1/libraries/:library/events", (c) =>
    streamSSE(c, async (stream) => {
      const after = c.req.query("after") ?? c.req.header("last-event-id");
      await stream.writeSSE({ event: "hello", data: "{}" });
      if (after !== undefined) {
        const missed = await db.execute({
          sql: "SELECT sequence, data FROM log WHERE sequence > ? ORDER BY sequence",
          args: [Number(after)],
        });
        for (const row of missed.rows) {
          const event = { sequence: Number(row.sequence), data: row.data as string };
          await send(stream, event);
        }
      }
      subscribers.add(stream);
      await new Promise<void>((resolve) => stream.onAbort(resolve));
      subscribers.delete(stream);
    }),
  );
  return (events) => {
    for (const event of events) {
      for (const stream of subscribers) void send(stream, event);
    }
  };
}

const calls = {
  /** Starts the server; resolves to the port it listens on. */
  listen: async (input: { directory: string; token: string }): Promise<number> => {
    const db = await openDatabase(`${input.directory}/naive.db`);
    const app = new Hono();
    const expected = `Bearer ${input.token}`;
    app.use(async (c, next) => {
      if (c.req.header("authorization") !== expected) return c.json({ code: "unauthorized" }, 401);
      return next();
    });
    const publish = addStream(app, db);
    addWrites(app, db, publish);
    addBulk(app, db, publish);
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      maxRequestBodySize: 4 * 2 ** 30,
      fetch: (request, server) => {
        server.timeout(request, 0);
        return app.fetch(request);
      },
    });
    return server.port ?? 0;
  },
};

export type NaiveCalls = typeof calls;

if (import.meta.main) answerCalls(calls);
