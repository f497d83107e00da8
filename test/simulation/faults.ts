import type { Database, Read } from "../../src/store/database.ts";
import { SyncError } from "../../src/protocol/errors.ts";
import type { Random } from "./random.ts";
import type { Owner, VirtualTime } from "./time.ts";

/** How often a database misbehaves; all zero is a healthy one. */
export interface DatabaseFaults {
  /** The write never reaches the database. */
  failBefore: number;
  /** The write happens, and its answer is lost. */
  failAfter: number;
  /** A read does not come back. */
  failRead: number;
  /** The write takes this long at most before it reaches the database. */
  delayMs: number;
}

export interface FaultyDatabaseOptions {
  readonly owner: Owner;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly faults: DatabaseFaults;
}

const never = (): Promise<never> => new Promise(() => {});
const lost = (): SyncError =>
  new SyncError(
    "database_unavailable",
    { retryAfterSeconds: 1 },
    { detail: "The simulation lost this." },
  );

/**
 * A real database behind a bad line: it fails before and after the commit point, takes its time, and
 * never answers a node that has crashed. The database's own clock is the simulation's.
 */
export function withFaults(database: Database, options: FaultyDatabaseOptions): Database {
  const { owner, time, random, faults } = options;
  const clock = time.clockOf(owner);
  const inTime = (sql: string): string =>
    sql.replaceAll("unixepoch('subsec')", (time.now / 1_000).toFixed(3));
  const enter = async (): Promise<void> => {
    // A paused node neither sends nor receives; it goes on where it stood.
    while (owner.state === "paused") await clock.sleep(0);
    if (owner.state === "dead") await never();
  };
  const around = async <Result>(
    kind: "read" | "write",
    call: () => Promise<Result>,
  ): Promise<Result> => {
    await enter();
    if (kind === "write" && faults.delayMs > 0) {
      await clock.sleep(random.below(faults.delayMs));
      await enter();
    }
    if (random.chance(kind === "read" ? faults.failRead : faults.failBefore)) throw lost();
    const result = await call();
    await enter();
    if (kind === "write" && random.chance(faults.failAfter)) throw lost();
    return result;
  };
  const reads =
    (read: Read): Read =>
    (statements) =>
      around("read", () => read(statements.map((one) => ({ ...one, sql: inTime(one.sql) }))));
  return {
    ...database,
    read: reads(database.read),
    readPrimary: reads(database.readPrimary),
    readNear: reads(database.readNear),
    write: (statements) =>
      around("write", () =>
        database.write(
          statements.map((one) => ("sql" in one ? { ...one, sql: inTime(one.sql) } : one)),
        ),
      ),
    transaction: (run) => around("write", () => database.transaction(run)),
  };
}
