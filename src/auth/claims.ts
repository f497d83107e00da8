import { isId } from "../base/id.ts";
import { SyncError } from "../protocol/errors.ts";
import { roles, SERVICE_WIDE, type Capability, type Grant, type Role } from "./capability.ts";

/** Why a token is not accepted; the `reason` of every `unauthorized`. */
export type TokenRefusal =
  | "missing"
  | "malformed"
  | "bad_signature"
  | "expired"
  | "revoked"
  | "bad_claims";

/** The claims of a token, read: what it may do, and from when. */
export interface Claims {
  readonly capability: Capability;
  readonly notBeforeMs: number | null;
}

const nameLengthMax = 256;
const grantsMax = 1_000;
const typesMax = 1_000;
/** The last second that a `Date` can name; JSON can spell larger ones, even infinity (`1e999`). */
const lastSecond = 8_640_000_000_000;
/** How far ahead an issuer's clock may be. A later `iat` would outlive the revocation of its subject. */
const issuedAheadMs = 5 * 60 * 1_000;

/** Makes the error of a token that is not accepted; `detail` must not quote the token. */
export function createRefusal(
  reason: TokenRefusal,
  detail: string,
  cause?: unknown,
): SyncError<"unauthorized"> {
  return new SyncError("unauthorized", { reason }, { detail, cause });
}

/**
 * Reads claims strictly: a member that is unknown or odd fails the token, because a misspelt limit
 * would otherwise be no limit. `fallbackId` names a token without `jti`. @throws unauthorized
 */
export function parseClaims(
  claims: Readonly<Record<string, unknown>>,
  context: { fallbackId: string; nowMs: number },
): Claims {
  const issuedAtMs = parseTime(claims["iat"], "iat");
  if (issuedAtMs !== null && issuedAtMs > context.nowMs + issuedAheadMs) {
    throw badClaim("iat must not lie in the future");
  }
  return {
    capability: {
      tokenId: claims["jti"] === undefined ? context.fallbackId : parseName(claims["jti"], "jti"),
      subject: parseName(claims["sub"], "sub"),
      grants: parseList(claims["grants"], { at: "grants", max: grantsMax, parse: parseGrant }),
      expiresAtMs: parseTime(claims["exp"], "exp"),
      issuedAtMs,
    },
    notBeforeMs: parseTime(claims["nbf"], "nbf"),
  };
}

function parseGrant(value: unknown, at: string): Grant {
  if (!isObject(value)) throw badClaim(`${at} must be an object`);
  for (const name of Object.keys(value)) {
    if (name !== "library" && name !== "role" && name !== "types") {
      throw badClaim(`${at} may only have library, role and types`);
    }
  }
  const library = parseLibrary(value["library"], `${at}.library`);
  const role = parseRole(value["role"], `${at}.role`);
  if (value["types"] === undefined) return { library, role };
  const types = parseList(value["types"], { at: `${at}.types`, max: typesMax, parse: parseName });
  return { library, role, types };
}

function parseLibrary(value: unknown, at: string): string {
  if (value === SERVICE_WIDE) return SERVICE_WIDE;
  if (!isId(value)) throw badClaim(`${at} must be the id of a library, or "*" for all`);
  return value.toLowerCase();
}

function parseRole(value: unknown, at: string): Role {
  const role = roles.find((known) => known === value);
  if (role === undefined) throw badClaim(`${at} must be one of ${roles.join(", ")}`);
  return role;
}

function parseName(value: unknown, at: string): string {
  if (typeof value === "string" && value !== "" && value.length <= nameLengthMax) return value;
  throw badClaim(`${at} must be a string of 1 to ${nameLengthMax} characters`);
}

function parseTime(value: unknown, at: string): number | null {
  if (value === undefined) return null;
  if (typeof value === "number" && value >= 0 && value <= lastSecond) {
    return Math.round(value * 1_000);
  }
  throw badClaim(`${at} must be a time in seconds since 1970`);
}

function parseList<Value>(
  value: unknown,
  how: { at: string; max: number; parse: (value: unknown, at: string) => Value },
): readonly Value[] {
  if (Array.isArray(value) && value.length > 0 && value.length <= how.max) {
    return value.map((each: unknown, index) => how.parse(each, `${how.at}[${index}]`));
  }
  throw badClaim(`${how.at} must be a list of 1 to ${how.max}`);
}

function badClaim(complaint: string): SyncError<"unauthorized"> {
  return createRefusal("bad_claims", `The token cannot be used: ${complaint}.`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
