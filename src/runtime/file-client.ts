/**
 * A client of libSQL files that prepares each statement once. `@libsql/client` prepares every
 * statement of every batch anew, which costs a small commit more than its disk does.
 *
 * It stands on the same native package, so it knows the same trap: a statement that fails with
 * SQLITE_BUSY stays in progress and spoils its connection. Such a connection is never used again:
 * `reconnect`, which the database calls on every SQLITE_BUSY, opens another one.
 *
 * @module
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type * as Libsql from "@libsql/client";
import type { InStatement, InValue, ResultSet, Row, Transaction } from "@libsql/client";
import Native from "libsql";
import { toRows } from "../store/database.ts";
import type { ClientConfig, DatabaseClient, RowsStatement, Statement } from "../store/database.ts";

/** Statements kept prepared by one connection; those of a commit are a few dozen. */
const STATEMENTS_MAX = 200;
const BUSY = 5;

interface Prepared {
  readonly run: (args: readonly unknown[]) => unknown;
  readonly all: (args: readonly unknown[]) => unknown[];
  readonly isReader: boolean;
}

function toPath(url: string): string {
  return url.startsWith("file://")
    ? fileURLToPath(url)
    : decodeURIComponent(url.slice("file:".length));
}

function toArgument(value: InValue | undefined): unknown {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Date) return value.valueOf();
  if (value === undefined || (typeof value === "number" && !Number.isFinite(value))) {
    throw new TypeError("Bug: only finite numbers, text, bytes and null can be bound");
  }
  return value;
}

/** The code that the database decides by: whatever kind of busy it was, it is SQLITE_BUSY. */
function toKnown(error: unknown): unknown {
  const isBusy =
    error instanceof Error &&
    "rawCode" in error &&
    typeof error.rawCode === "number" &&
    (error.rawCode & 0xff) === BUSY;
  return isBusy ? Object.assign(error, { code: "SQLITE_BUSY" }) : error;
}

function toResult(rows: readonly unknown[]): ResultSet {
  return {
    columns: [],
    columnTypes: [],
    // Rows by position only: the database reads nothing else.
    rows: rows as Row[],
    rowsAffected: 0,
    lastInsertRowid: undefined,
    toJSON: () => rows,
  };
}

/** Rows that one statement binds: each call into the driver costs as much as a row does. */
const ROWS_PER_STATEMENT = [64, 8, 1] as const;

/** As few statements as write these rows, of the few shapes that stay prepared. */
function* toInserts({ values, rows }: RowsStatement): Generator<Statement> {
  let at = 0;
  for (const size of ROWS_PER_STATEMENT) {
    for (; at + size <= rows.length; at += size) {
      yield { sql: values(size), args: rows.slice(at, at + size).flat() };
    }
  }
}

/** The driver gives this error no code. */
function openNative(path: string): Native.Database {
  try {
    return new Native(path);
  } catch (error) {
    throw Object.assign(new Error(`${path} cannot be opened.`, { cause: error }), {
      code: "SQLITE_CANTOPEN",
    });
  }
}

function openConnection(path: string) {
  const db = openNative(path);
  const statements = new Map<string, Prepared>();

  const prepare = (sql: string): Prepared => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = db.prepare(sql);
    const { reader: isReader } = statement;
    if (isReader) statement.raw(true);
    const prepared: Prepared = {
      run: (args) => statement.run(args),
      all: (args) => statement.all(args),
      isReader,
    };
    if (statements.size >= STATEMENTS_MAX) statements.clear();
    statements.set(sql, prepared);
    return prepared;
  };
  const execute = (statement: InStatement): ResultSet => {
    const { sql, args = [] } = typeof statement === "string" ? { sql: statement } : statement;
    if (!Array.isArray(args)) throw new TypeError("Bug: arguments are bound by position");
    try {
      const prepared = prepare(sql);
      const values = args.map(toArgument);
      if (prepared.isReader) return toResult(prepared.all(values));
      prepared.run(values);
      return toResult([]);
    } catch (error) {
      throw toKnown(error);
    }
  };
  const rollback = (): void => {
    if (db.open && db.inTransaction) execute("ROLLBACK");
  };
  return {
    execute,
    rollback,
    /** Runs `work` in one transaction, which ends with it either way. */
    atomic: <Result>(begin: "BEGIN" | "BEGIN IMMEDIATE", work: () => Result): Result => {
      try {
        execute(begin);
        const result = work();
        execute("COMMIT");
        return result;
      } finally {
        rollback();
      }
    },
    close: (): void => {
      statements.clear();
      if (!db.open) return;
      rollback();
      db.close();
    },
  };
}

/** Closed connections whose files may still be open. */
const CLOSED_MAX = 32;
let closedCount = 0;

/**
 * The driver keeps the files of a closed connection until its statements are collected, and those
 * weigh so little that it may take for ever. Where nobody can be asked to collect, it takes longer.
 */
function forget(): void {
  closedCount += 1;
  if (closedCount % CLOSED_MAX === 0 && typeof Bun !== "undefined") Bun.gc(true);
}

/** One connection to the database of `url`, which must be a file; opened when it is first used. */
export function createFileClient(url: string, ending?: AbortSignal): DatabaseClient {
  const path = toPath(url);
  let connection: ReturnType<typeof openConnection> | null = null;
  const use = () => (connection ??= openConnection(path));
  const close = (): void => {
    if (connection === null) return;
    connection.close();
    connection = null;
    // A process that ends gives all of its files back by itself.
    if (ending?.aborted !== true) forget();
  };
  const transaction = async (): Promise<Transaction> => {
    const own = use();
    own.execute("BEGIN IMMEDIATE");
    let closed = false;
    const end = (sql: "COMMIT" | "ROLLBACK"): void => {
      closed = true;
      if (sql === "COMMIT") own.execute(sql);
      else own.rollback();
    };
    return {
      execute: async (statement: InStatement) => own.execute(statement),
      batch: async (statements: InStatement[]) =>
        statements.map((statement) => own.execute(statement)),
      executeMultiple: async () => {
        throw new Error("Bug: statements are executed one by one");
      },
      commit: async () => end("COMMIT"),
      rollback: async () => end("ROLLBACK"),
      close: () => end("ROLLBACK"),
      get closed() {
        return closed;
      },
    };
  };
  return {
    execute: async (statement: InStatement) => use().execute(statement),
    batch: async (statements: InStatement[], mode) => {
      const { atomic, execute } = use();
      const begin = mode === "write" ? "BEGIN IMMEDIATE" : "BEGIN";
      return atomic(begin, () => statements.map(execute));
    },
    writeRows: async (writes) => {
      const { atomic, execute } = use();
      return atomic("BEGIN IMMEDIATE", () =>
        writes.map((write) => {
          if ("sql" in write) return toRows(execute(write));
          for (const { sql, args } of toInserts(write)) execute({ sql, args });
          return [];
        }),
      );
    },
    transaction,
    // The next use opens another.
    reconnect: close,
    close,
  };
}

/** The fitting client of a URL: files are ours, all else is `@libsql/client`'s. */
export function createDatabaseClient({ ending, ...config }: ClientConfig): DatabaseClient {
  const isFile = config.url.startsWith("file:") && !config.url.includes(":memory:");
  if (isFile) return createFileClient(config.url, ending);
  // Loaded only here, because it costs every start on files a twentieth of a second.
  const { createClient } = createRequire(import.meta.url)("@libsql/client") as typeof Libsql;
  return createClient({ ...config });
}
