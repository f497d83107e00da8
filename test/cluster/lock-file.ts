import { Database } from "bun:sqlite";

// bun lock-file.ts PATH MS: a process of somebody else that holds the file's write lock for a while.
const [path = "", ms = "0"] = process.argv.slice(2);
const database = new Database(path);
database.run("PRAGMA busy_timeout=5000");
database.run("BEGIN IMMEDIATE");
await Bun.sleep(Number(ms));
database.run("ROLLBACK");
database.close();
