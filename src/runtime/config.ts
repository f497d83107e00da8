import * as v from "valibot";
import { isDatabaseUrl, withoutToken } from "./database-url.ts";

/** A whole number within bounds; anything else is told what it `mustBe`. */
const whole = (from: number, to: number, mustBe: string) =>
  v.pipe(
    v.string(),
    v.regex(/^\d+$/, mustBe),
    v.transform(Number),
    v.minValue(from, mustBe),
    v.maxValue(to, mustBe),
  );
// A host and its port alone read as a URL too, whose scheme is the host.
const httpUrl = v.pipe(
  v.string(),
  v.check((text) => URL.canParse(text) && /^https?:/i.test(text), "an http: or https: URL"),
);
const databaseUrl = v.pipe(
  v.string(),
  v.check(
    isDatabaseUrl,
    "a file:, http(s):, ws(s): or libsql: URL with no placeholder but {database}, or a JSON map of database name to such URLs",
  ),
);
const schema = v.object({
  PORT: v.optional(whole(0, 65_535, "a port from 0 to 65535"), "8787"),
  HOST: v.optional(v.pipe(v.string(), v.nonEmpty()), "127.0.0.1"),
  DATABASE_URL: v.optional(databaseUrl, "file:./data/{database}.db"),
  /** Copies that may be behind: records and log are read there when they are new enough. */
  DATABASE_REPLICA_URL: v.optional(databaseUrl),
  DATABASE_AUTH_TOKEN: v.optional(v.string()),
  /** The admin address of a self-hosted sqld, so that each library gets its namespace. */
  DATABASE_ADMIN_URL: v.optional(httpUrl),
  SYNCLINE_SECRET: v.optional(v.pipe(v.string(), v.minLength(16, "at least 16 characters"))),
  SYNCLINE_JWKS_URL: v.optional(httpUrl),
  CORS_ORIGINS: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => text.split(",").every((one) => /^\s*(\*|\w[\w+.-]*:\/\/[^/\s]+)?\s*$/.test(one)),
        "origins such as https://app.example, separated by commas, or *",
      ),
    ),
    "",
  ),
  DURABILITY: v.optional(v.picklist(["full", "normal"], '"full" or "normal"'), "full"),
  LOG_LEVEL: v.optional(
    v.picklist(["error", "info", "debug"], '"error", "info" or "debug"'),
    "info",
  ),
  /** How long entries of the log are kept at least. */
  RETENTION_DAYS: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^([1-9]\d{0,4}|forever)$/, 'a number of days, or "forever"'),
      v.transform((text) => (text === "forever" ? Infinity : Number(text))),
    ),
    "30",
  ),
  /** Libraries in use at once: each has about a megabyte and six open files. */
  OPEN_LIBRARIES: v.optional(whole(1, 100_000, "a number from 1 to 100000"), "1000"),
  /** `open`: figures need no token. Unset: they need none on loopback. */
  METRICS: v.optional(v.picklist(["open", "token"], '"open" or "token"')),
  NODE_URL: v.optional(httpUrl),
  LEASE_MS: v.optional(
    whole(1_000, 3_600_000, "milliseconds from 1000 to 3600000, which is an hour"),
    "15000",
  ),
});

export type Config = v.InferOutput<typeof schema>;

/** Tells the addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

/** Reads the configuration. @throws Error with a sentence that names the variable */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const result = v.safeParse(schema, given);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "configuration";
  // What the start says goes into logs, where a secret does not belong.
  const is =
    name === "SYNCLINE_SECRET" ? "is too short" : `is "${withoutToken(given[name] ?? "")}"`;
  throw new Error(`${name} ${is}, but must be: ${issue.message}.`);
}
