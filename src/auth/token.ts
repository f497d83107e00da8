import { errors, jwtVerify, SignJWT, type FetchImplementation, type JWTVerifyOptions } from "jose";
import { assert } from "../base/assert.ts";
import { createBoundedMap } from "../base/bounded-map.ts";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import { isSyncError, type SyncError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Capability, Grant } from "./capability.ts";
import { createRefusal, parseClaims, type Claims } from "./claims.ts";
import { createKeys, type Keys } from "./keys.ts";

/** Where keys come from, and what else a token must satisfy. At least one source is needed. */
export interface TokenVerifierOptions {
  /** The shared secret of HS256 tokens. */
  readonly secret?: string;
  /** Where the public keys of EdDSA, ES256 and RS256 tokens are served. */
  readonly jwksUrl?: string;
  readonly fetch?: FetchImplementation;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly isRevoked: (capability: Capability) => boolean;
  readonly onKeysAway?: (error: unknown) => void;
  readonly issuer?: string;
  readonly audience?: string;
}

/** Turns tokens into capabilities, and remembers those it has verified. */
export interface TokenVerifier {
  /**
   * Resolves to what the token may do. The reason of a refusal is a `TokenRefusal`; `overloaded`
   * says that the key server did not answer, which is no fault of the token.
   * @throws unauthorized, overloaded
   */
  verify(token: string): Promise<Capability>;
  /** Returns the same without waiting, or null when `verify` has to look at the token first. */
  peek(token: string): Capability | null;
}

interface Verified extends Claims {
  /** When the signature must be checked again, on the monotonic clock. */
  readonly staleAtMs: number;
}

/** Longer ones are refused unread, so that the cache holds at most this much for each token. */
const tokenLengthMax = 16_384;

/** Accepts HS256 only by the secret and the other algorithms only by the key set, never across. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { clock } = options;
  const keys = createKeys(options);
  const known = createBoundedMap<string, Verified>(options.limits.verifiedTokens);

  const findFresh = (token: string): Verified | null => {
    const verified = known.get(token);
    return verified !== undefined && clock.monotonic() < verified.staleAtMs ? verified : null;
  };

  /** Says what speaks against a token whose signature is good, at this moment. */
  const refusalOf = ({ capability, notBeforeMs }: Claims): SyncError | null => {
    const nowMs = clock.now();
    if (capability.expiresAtMs !== null && capability.expiresAtMs <= nowMs) {
      return createRefusal("expired", "The token has expired; get a new one.");
    }
    if (notBeforeMs !== null && notBeforeMs > nowMs) {
      return createRefusal("bad_claims", "The token cannot be used yet: its nbf lies ahead.");
    }
    if (options.isRevoked(capability)) {
      return createRefusal("revoked", "The token has been revoked; get a new one.");
    }
    return null;
  };

  return {
    verify: async (token) => {
      let verified = findFresh(token);
      if (verified === null) {
        verified = await verifyAnew(token, keys, options);
        known.set(token, verified);
      }
      const refusal = refusalOf(verified);
      if (refusal !== null) throw refusal;
      return verified.capability;
    },
    peek: (token) => {
      const verified = findFresh(token);
      return verified !== null && refusalOf(verified) === null ? verified.capability : null;
    },
  };
}

/** Whom a new token is for and what it may do. */
export interface MintOptions {
  /** The `SYNCLINE_SECRET` of the service. */
  readonly secret: string;
  /** The user's or device's id: it names the author of what is written, and can be revoked. */
  readonly subject: string;
  readonly grants: readonly Grant[];
  /** Seconds until it expires, or null for a token that only a revocation ends. */
  readonly ttlSeconds: number | null;
  /** The system's, when left out. */
  readonly clock?: Clock;
  readonly issuer?: string;
  readonly audience?: string;
}

/** What differs from token to token of one service. */
export type TokenRequest = Pick<MintOptions, "subject" | "grants" | "ttlSeconds">;

/** Signs a new HS256 token with an id of its own. @throws unauthorized for grants no verifier takes */
export async function mintToken(options: MintOptions): Promise<string> {
  const { clock = systemClock } = options;
  assert(options.secret !== "", "a token is signed with a secret");
  const nowMs = clock.now();
  const claims = {
    jti: createId(),
    sub: options.subject,
    // With its milliseconds, so that a token minted right after its subject was revoked is good.
    iat: nowMs / 1_000,
    grants: options.grants.map((grant) => ({ ...grant })),
    ...(options.ttlSeconds === null ? {} : { exp: Math.ceil(nowMs / 1_000 + options.ttlSeconds) }),
    ...(options.issuer === undefined ? {} : { iss: options.issuer }),
    ...(options.audience === undefined ? {} : { aud: options.audience }),
  };
  parseClaims(claims, { fallbackId: claims.jti, nowMs });
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(new TextEncoder().encode(options.secret));
}

async function verifyAnew(
  token: string,
  keys: Keys,
  options: TokenVerifierOptions,
): Promise<Verified> {
  if (token === "") {
    throw createRefusal("missing", "Send a token in the header Authorization: Bearer <token>.");
  }
  if (token.length > tokenLengthMax) {
    throw createRefusal("malformed", `A token has at most ${tokenLengthMax} characters.`);
  }
  const nowMs = options.clock.now();
  const checks: JWTVerifyOptions = {
    algorithms: [...keys.algorithms],
    currentDate: new Date(nowMs),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };
  try {
    const { payload, protectedHeader } = await verifySignature(token, keys, checks);
    const claims = parseClaims(payload, { fallbackId: await fingerprint(token), nowMs });
    const staleAtMs = options.clock.monotonic() + keys.trustMs(protectedHeader.alg);
    return { ...claims, staleAtMs };
  } catch (error) {
    throw isSyncError(error) ? error : toRefusal(error);
  }
}

async function verifySignature(
  token: string,
  keys: Keys,
  checks: JWTVerifyOptions,
): ReturnType<typeof jwtVerify> {
  try {
    return await jwtVerify(token, keys.find, checks);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    // A token without `kid` may be signed by any key of its kind, so each gets a try.
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, checks);
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** An error that jose does not explain counts as a bad signature: what is not proven is refused. */
function toRefusal(error: unknown): SyncError {
  if (error instanceof errors.JWTExpired) {
    return createRefusal("expired", "The token has expired; get a new one.", error);
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const detail = `The token cannot be used: its claim ${error.claim} is not accepted here.`;
    return createRefusal("bad_claims", detail, error);
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return createRefusal("malformed", "The token is not a signed JWT in its compact form.", error);
  }
  const detail = "The token is not signed by a key, or in a way, that this service trusts.";
  return createRefusal("bad_signature", detail, error);
}

/**
 * Names a token that has no `jti`: SHA-256 of what is signed, in hex. The signature stays out,
 * otherwise the holder of a revoked ES256 token could turn its signature into a second valid one.
 */
async function fingerprint(token: string): Promise<string> {
  const signed = new TextEncoder().encode(token.slice(0, token.lastIndexOf(".")));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", signed));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
