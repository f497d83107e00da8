import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type CryptoKey,
  type FetchImplementation,
  type JWTVerifyGetKey,
} from "jose";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { SyncError } from "../protocol/errors.ts";

/** The keys that tokens may be signed with. */
export interface Keys {
  /** The algorithms for which there is a key; a token with any other is refused. */
  readonly algorithms: readonly string[];
  /** Resolves to the key for the header of a token. @throws overloaded */
  readonly find: JWTVerifyGetKey<CryptoKey>;
  /** Milliseconds a signature by this algorithm is trusted before it is checked again. */
  trustMs(algorithm: string): number;
}

/** jose fetches the key set again after this time; a key that was withdrawn is dead by then. */
const keySetAgeMs = 10 * 60 * 1_000;
const keySetRetrySeconds = 5;
/** Every request fails while the keys are away, and one line says it as well as all. */
const keysAwayEveryMs = 60 * 1_000;

/** Joins the secret and the key set; fetches nothing before the first token needs it. */
export function createKeys(options: {
  readonly secret?: string;
  readonly jwksUrl?: string;
  readonly fetch?: FetchImplementation;
  readonly clock: Clock;
  /** Told that the key set cannot be read, once a minute at most. */
  readonly onKeysAway?: (error: unknown) => void;
}): Keys {
  const { secret, jwksUrl } = options;
  assert(secret !== "", "the secret is empty");
  assert(secret !== undefined || jwksUrl !== undefined, "tokens need a secret or a key set");
  const findShared = secret === undefined ? null : createSharedKey(secret);
  const findPublic = jwksUrl === undefined ? null : createKeySet(jwksUrl, options);
  return {
    algorithms: [
      ...(findShared === null ? [] : ["HS256"]),
      ...(findPublic === null ? [] : ["EdDSA", "ES256", "RS256"]),
    ],
    find: async (header, token) => {
      // By algorithm, so that a public key is never taken for a shared secret.
      const find = header.alg === "HS256" ? findShared : findPublic;
      if (find === null) throw new errors.JOSEAlgNotAllowed();
      return await find(header, token);
    },
    trustMs: (algorithm) => (algorithm === "HS256" ? Number.POSITIVE_INFINITY : keySetAgeMs),
  };
}

function createSharedKey(secret: string): () => Promise<CryptoKey> {
  let key: Promise<CryptoKey> | null = null;
  return () => {
    key ??= crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    return key;
  };
}

function createKeySet(
  url: string,
  { fetch, clock, onKeysAway }: Parameters<typeof createKeys>[0],
): JWTVerifyGetKey<CryptoKey> {
  const keySet = createRemoteJWKSet(new URL(url), {
    cacheMaxAge: keySetAgeMs,
    ...(fetch === undefined ? {} : { [customFetch]: fetch }),
  });
  let quietUntilMs = -Infinity;
  return async (header, token) => {
    try {
      return await keySet(header, token);
    } catch (error) {
      if (isAboutToken(error)) throw error;
      if (clock.monotonic() >= quietUntilMs) {
        quietUntilMs = clock.monotonic() + keysAwayEveryMs;
        onKeysAway?.(error);
      }
      throw new SyncError(
        "overloaded",
        { retryAfterSeconds: keySetRetrySeconds },
        {
          detail: "The server that holds the token keys does not answer; try again.",
          cause: error,
        },
      );
    }
  };
}

/** All other errors are about the key server: it is away, slow, or serves no usable key set. */
function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
