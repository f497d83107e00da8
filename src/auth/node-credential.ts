import { errors, jwtVerify, SignJWT } from "jose";
import type { Clock } from "../base/clock.ts";
import type { Capability } from "./capability.ts";
import { createRefusal } from "./claims.ts";

/** Another node handed this request on: its capability (signed), that it did, and the mutation id it gave. */
export const NODE_HEADER = "x-syncline-node";
export const HOP_HEADER = "x-syncline-hop";
export const MUTATION_HEADER = "x-syncline-mutation-id";

/**
 * What one node shows another: a short-lived token, signed with a key made from the secret they
 * share, that carries the capability of whoever asked. It says nothing to the verifier of ordinary
 * tokens, and an ordinary token says nothing here.
 */
export interface NodeCredentials {
  /** Signs for one request that is handed on. */
  sign(capability: Capability): Promise<string>;
  /** Resolves to the capability that the other node has verified. @throws unauthorized */
  verify(credential: string): Promise<Capability>;
}

/** How far the clocks of two nodes may differ, as with tokens and revocations. */
const SKEW_SECONDS = 5 * 60;
const TTL_SECONDS = 60 + SKEW_SECONDS;
const AUDIENCE = "syncline:node";

export function createNodeCredentials(options: {
  readonly secret: string;
  readonly clock: Clock;
}): NodeCredentials {
  const { clock } = options;
  const key = new TextEncoder().encode(`${AUDIENCE}:${options.secret}`);
  return {
    sign: (capability) =>
      new SignJWT({ capability })
        .setProtectedHeader({ alg: "HS256" })
        .setAudience(AUDIENCE)
        .setExpirationTime(Math.ceil(clock.now() / 1_000) + TTL_SECONDS)
        .sign(key),
    verify: async (credential) => {
      try {
        const { payload } = await jwtVerify<{ capability: Capability }>(credential, key, {
          algorithms: ["HS256"],
          audience: AUDIENCE,
          requiredClaims: ["exp"],
          currentDate: new Date(clock.now()),
        });
        return payload.capability;
      } catch (error) {
        if (error instanceof errors.JWTExpired) {
          const detail = "The node's credential has expired: do the nodes' clocks agree?";
          throw createRefusal("expired", detail, error);
        }
        const detail = "The node's credential is not signed with the secret of this service.";
        throw createRefusal("bad_signature", detail, error);
      }
    },
  };
}
