import type { Client, InValue, Transaction, Value } from "@libsql/client";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import type { SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { codeOf, isLost, isUnsent, troubleOf, unavailable } from "./failure.ts";
import { createTurns } from "./turns.ts";
import type { Turn } from "./turns.ts";

export interface Statement {
  readonly sql: string;
  readonly args: InValue[];
}

/** Many rows: `values` binds that many, `all` reads them all from one JSON array of arrays. */
export interface RowsStatement {
  readonly values: (count: number) => string;
  readonly all: string;
  readonly rows: readonly InValue[][];
}

/** The form that takes one round trip, for whoever cannot bind them cheaply. */
export function toStatement(write: Statement | RowsStatement): Statement {
  return "rows" in write ? { sql: write.all, args: [JSON.stringify(write.rows)] } : write;
}

/** Rows by position; `rows[0]?.[0]` is the first column of the first row. */
export type Rows = readonly (readonly Value[])[];

export type Read = (statements: readonly Statement[]) => Promise<Rows[]>;

/** One open database. Only the commit path receives one; everyone else gets a `Reader`. */
export interface Database {
  /** Reads in one go, from a connection that cannot write. @throws database_unavailable */
  readonly read: Read;
  /**
   * Reads from the connection that writes, which has what it needs next in its cache. For whoever
   * decides a write, or must know whether one happened; nothing may write meanwhile.
   * @throws database_unavailable
   */
  readonly readPrimary: Read;
  /**
   * Reads from the replica, when there is one and it has at least the head that `keepUp` tells; else
   * as `read`. For records and log entries, never for who may write. @throws database_unavailable
   */
  readonly readNear: Read;
  /** How new a replica must be to answer. Without being told, none answers. */
  keepUp(head: () => number): void;
  /** Writes all or nothing. @throws database_unavailable, or what a constraint or a guard says */
  write(statements: readonly (Statement | RowsStatement)[]): Promise<Rows[]>;
  /** An interactive transaction, for raw SQL; nothing else may write meanwhile. */
  transaction<Result>(run: (tx: Transaction) => Promise<Result>): Promise<Result>;
  /** Does what may take long where nothing has to be waited for, such as reading a page: when its turn comes. */
  readonly turn: Turn;
  /** Drizzle over `readNear`. */
  readonly drizzle: SqliteRemoteDatabase;
  close(): void;
}

/** What a database asks of its driver: a client of `@libsql/client`, or one that does the same. */
export interface DatabaseClient extends Pick<
  Client,
  "execute" | "batch" | "transaction" | "reconnect" | "close"
> {
  /** Writes all or nothing, rows bound as values: for drivers that keep their statements prepared. */
  readonly writeRows?: (statements: readonly (Statement | RowsStatement)[]) => Promise<Rows[]>;
}

/** What a client of one database is made from. */
export interface ClientConfig extends Pick<DatabaseOptions, "ending"> {
  readonly url: string;
  readonly authToken?: string;
  readonly concurrency: number;
}

export interface DatabaseOptions {
  readonly url: string;
  /** A copy that may be behind, for reads. */
  readonly replicaUrl?: string | undefined;
  readonly authToken?: string | undefined;
  /** `full` survives a power cut on `file:`; `normal` only the death of every process. */
  readonly durability: "full" | "normal";
  readonly createClient: (config: ClientConfig) => DatabaseClient;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  /** Aborted, with the monotonic time as its reason, when the process is to end: then nothing is waited for long. */
  readonly ending?: AbortSignal | undefined;
  /** Whose turn it is among all databases of the process; each has turns of its own when left out. */
  readonly turn?: Turn | undefined;
}

/** Rows by position, whether the driver answers arrays or objects that look like them. */
export function toRows({ rows }: { readonly rows: readonly ArrayLike<Value>[] }): Rows {
  return rows.map((row) => (Array.isArray(row) ? (row as Value[]) : Array.from(row)));
}

/** How long a server is waited for by a process that ends. */
const ENDING_MS = 2_000;
/** How long it makes files whole: a thousand would take longer than it has, and a WAL loses nothing. */
const WHOLE_MS = 4_000;

/** Gives up on a server that neither answers nor closes the connection (FACTS, trap 2). */
async function withDeadline<Result>(
  work: Promise<Result>,
  { limits, ending }: Pick<DatabaseOptions, "limits" | "ending">,
): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = (_ms: number): void => {};
  const late = new Promise<never>((_, reject) => {
    wait = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => reject(new Error(`No answer within ${ms} ms.`)), ms);
    };
  });
  const hurry = (): void => wait(ENDING_MS);
  wait(ending?.aborted === true ? ENDING_MS : limits.databaseMs);
  ending?.addEventListener("abort", hurry);
  return Promise.race([work, late]).finally(() => {
    clearTimeout(timer);
    ending?.removeEventListener("abort", hurry);
  });
}

const pragmasOf = ({ durability, limits }: DatabaseOptions): string[] => [
  "busy_timeout=50",
  "journal_mode=WAL",
  `synchronous=${durability.toUpperCase()}`,
  "foreign_keys=ON",
  "cache_size=-16384",
  // Of the whole process, whichever connection says it.
  `soft_heap_limit=${limits.databasesBytes}`,
  "temp_store=MEMORY",
];

const clientOf = ({ url, authToken, createClient, ending }: DatabaseOptions): DatabaseClient =>
  createClient({ url, concurrency: 1, ending, ...(authToken === undefined ? {} : { authToken }) });

/**
 * One connection, and what keeps it honest.
 *
 * A connection of the file driver that has met SQLITE_BUSY once acknowledges writes that never
 * commit (FACTS, trap 1): so it is reopened before anything is tried again. A server that does not
 * answer is asked again only for reads, and for writes that never left; whether any other write
 * took effect is for the committer to find out from the log.
 */
function createConnection(options: DatabaseOptions, isReader: boolean) {
  const { clock, limits, telemetry, ending } = options;
  const isFile = options.url.startsWith("file:");
  const client = clientOf(options);
  let isReady = !isFile;
  let isClosed = false;
  let isInTrouble = false;
  const prepare = async (): Promise<void> => {
    const pragmas = [...pragmasOf(options), ...(isReader ? ["query_only=ON"] : [])];
    for (const pragma of pragmas) await client.execute(`PRAGMA ${pragma}`);
    isReady = true;
  };
  const reconnect = async (): Promise<void> => {
    const opening = Promise.resolve(client.reconnect());
    // A server that is away fails the next call too, which says so.
    await (isFile ? opening : withDeadline(opening, options).catch(() => {}));
  };
  const attempt = async <Result>(
    kind: "read" | "write",
    call: () => Promise<Result>,
  ): Promise<Result> => {
    const mayRetry = (error: unknown): boolean =>
      codeOf(error) === "SQLITE_BUSY" || (!isFile && (kind === "read" || isUnsent(error)));
    const deadline = clock.monotonic() + limits.databaseMs;
    for (let delayMs = 2; ; delayMs = Math.min(delayMs * 2, 200)) {
      // Whoever still holds what was closed under way is to ask again; the driver would call it a bug.
      if (isClosed) throw unavailable(new Error("The database was closed here."));
      try {
        if (!isReady) await prepare();
        const result = await (isFile ? call() : withDeadline(call(), options));
        // A full disk still reads: only what failed can show that it is mended.
        if (isReader || kind === "write") isInTrouble = false;
        return result;
      } catch (error) {
        const trouble = troubleOf(error);
        if (trouble !== null) {
          if (!isInTrouble) telemetry.log("error", trouble, { error });
          isInTrouble = true;
          // What a disk has failed is opened anew, for nobody knows what it still holds; a full one
          // has spoiled nothing.
          if (!codeOf(error).startsWith("SQLITE_FULL")) {
            isReady = !isFile;
            await reconnect();
          }
          throw unavailable(error, trouble);
        }
        const isBroken = codeOf(error) === "SQLITE_BUSY" || (!isFile && isLost(error));
        // A server that is away when the process ends is not asked again.
        isClosed ||= !isFile && ending?.aborted === true && isLost(error);
        if (isClosed) continue;
        if (!isBroken) throw error;
        isReady = !isFile;
        await reconnect();
        telemetry.count("database_retries");
        if (!mayRetry(error) || clock.monotonic() > deadline) throw unavailable(error);
        await clock.sleep(delayMs);
      }
    }
  };
  const read: Read = (statements) =>
    attempt("read", async () => {
      const [only] = statements;
      if (statements.length === 1 && only !== undefined)
        return [toRows(await client.execute(only))];
      const results = await client.batch([...statements], "read");
      return results.map(toRows);
    });
  const close = (): void => {
    isClosed = true;
    const isLate = ending?.aborted === true && clock.monotonic() - Number(ending.reason) > WHOLE_MS;
    // So that the file holds all by itself. The client of files does it before this goes on.
    if (isFile && isReady && !isReader && !isLate)
      client.execute("PRAGMA wal_checkpoint(PASSIVE)").catch(() => {});
    client.close();
  };
  return { client, attempt, read, close };
}

/** How long a replica that did not answer is left alone, and how long it may take. */
const REPLICA_REST_MS = 5_000;
const REPLICA_MS = 1_000;
const HEAD: Statement = { sql: "SELECT head FROM library", args: [] };

/** Asks the replica first. What it lacks, or cannot answer, is read from the primary. */
function createNearRead(options: DatabaseOptions, read: Read) {
  const { replicaUrl: url, clock } = options;
  if (url === undefined) return { readNear: read, keepUp: () => {}, close: () => {} };
  const limits = { ...options.limits, databaseMs: REPLICA_MS };
  const replica = createConnection({ ...options, url, limits }, true);
  let least: () => number = () => Infinity;
  let restsUntil = 0;
  const readNear: Read = async (statements) => {
    const head = least();
    if (head === Infinity || clock.monotonic() < restsUntil) return read(statements);
    try {
      const [[found] = [], ...rows] = await replica.read([HEAD, ...statements]);
      if (Number(found?.[0]) >= head) return rows;
    } catch {
      restsUntil = clock.monotonic() + REPLICA_REST_MS;
    }
    return read(statements);
  };
  return {
    readNear,
    keepUp: (head: () => number) => void (least = head),
    close: () => replica.close(),
  };
}

/** Opens a database with one writing and one reading connection. */
export function openDatabase(options: DatabaseOptions): Database {
  const writer = createConnection(options, false);
  const reader = createConnection(options, true);
  const near = createNearRead(options, reader.read);
  return {
    read: reader.read,
    readNear: near.readNear,
    keepUp: near.keepUp,
    readPrimary: writer.read,
    write: (statements) =>
      writer.attempt("write", async () => {
        const { client } = writer;
        if (client.writeRows !== undefined) return client.writeRows(statements);
        const results = await client.batch(statements.map(toStatement), "write");
        return results.map(toRows);
      }),
    transaction: (run) =>
      writer.attempt("write", async () => {
        const tx = await writer.client.transaction("write");
        try {
          const result = await run(tx);
          await tx.commit();
          return result;
        } finally {
          tx.close();
        }
      }),
    turn: options.url.startsWith("file:")
      ? (options.turn ?? createTurns(options.clock))
      : (work) => work(),
    drizzle: drizzle(async (sql, args: InValue[], method) => {
      const [rows = []] = await near.readNear([{ sql, args }]);
      return { rows: method === "get" ? ((rows[0] ?? []) as unknown[]) : (rows as unknown[]) } as {
        rows: unknown[];
      };
    }),
    close: () => {
      reader.close();
      writer.close();
      near.close();
    },
  };
}
