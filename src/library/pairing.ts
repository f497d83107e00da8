/**
 * Pairing: a short code that an owner reads out proves that a device was invited, and a signature
 * proves that it holds the key it names.
 *
 *   owner ──codes──▶ code (5 minutes, one use) ──join──▶ challenge ──signed by the device──confirm──▶ token
 *
 * Codes and challenges live in this process: the node that made a code must see its join.
 */
import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { Grant } from "../auth/capability.ts";
import { SyncError } from "../protocol/errors.ts";

export interface PairingDevice {
  readonly id: string;
  readonly name: string;
  /** An Ed25519 key, raw (32 bytes) or SPKI, in base64 or base64url. */
  readonly publicKey: string;
}

export interface Pairing {
  /** Makes a code for whoever is to get these grants. */
  createCode(grants: readonly Grant[]): { readonly code: string; readonly expiresIn: number };
  /** Uses a code up. @throws rate_limited, unauthorized, invalid_body */
  join(code: string, device: PairingDevice): Promise<{ readonly challenge: string }>;
  /** The device and what it was invited to, when it signed the challenge. @throws unauthorized */
  confirm(
    deviceId: string,
    signature: string,
  ): Promise<{ readonly device: PairingDevice; readonly grants: readonly Grant[] }>;
}

const CODE_SECONDS = 300;
const ATTEMPTS = 5;
const ATTEMPTS_MS = 60_000;
const OPEN_MAX = 1_000;
/** Without the letters and digits that people confuse. 32 of them: 8 make 40 bits. */
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/** What stands before the 32 bytes of an Ed25519 key in SPKI. */
const SPKI_PREFIX_BYTES = 12;

function toBytes(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

async function importKey(text: string): Promise<CryptoKey> {
  const bytes = toBytes(text);
  const raw = bytes?.length === 44 ? bytes.slice(SPKI_PREFIX_BYTES) : bytes;
  const message = "An Ed25519 public key in base64 is needed: 32 bytes, or its SPKI form.";
  const issues = [{ path: "device.public_key", message }];
  if (raw?.length !== 32) throw new SyncError("invalid_body", { issues }, { detail: message });
  try {
    return await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
  } catch (cause) {
    throw new SyncError("invalid_body", { issues }, { detail: message, cause });
  }
}

function refuse(detail: string): SyncError {
  return new SyncError("unauthorized", { reason: "pairing" }, { detail });
}

interface Challenge {
  readonly device: PairingDevice;
  readonly key: CryptoKey;
  readonly challenge: string;
  readonly grants: readonly Grant[];
  readonly deadlineMs: number;
}

export function createPairing(options: { readonly clock: Clock }): Pairing {
  const { clock } = options;
  const codes = createBoundedMap<
    string,
    { readonly grants: readonly Grant[]; readonly deadlineMs: number }
  >(OPEN_MAX);
  const challenges = createBoundedMap<string, Challenge>(OPEN_MAX);
  let attempts: number[] = [];

  /** Guessing is what a short code must be kept from, so every join counts, whoever asks. */
  const countAttempt = (): void => {
    const now = clock.monotonic();
    attempts = attempts.filter((at) => now - at < ATTEMPTS_MS);
    const [first = now] = attempts;
    if (attempts.length >= ATTEMPTS) {
      const retryAfterSeconds = Math.max(1, Math.ceil((first + ATTEMPTS_MS - now) / 1_000));
      const detail = `At most ${ATTEMPTS} attempts to pair a minute.`;
      throw new SyncError("rate_limited", { retryAfterSeconds }, { detail });
    }
    attempts.push(now);
  };

  return {
    createCode: (grants) => {
      const random = crypto.getRandomValues(new Uint8Array(8));
      const code = Array.from(random, (byte) => ALPHABET[byte % ALPHABET.length]).join("");
      codes.set(code, { grants, deadlineMs: clock.monotonic() + CODE_SECONDS * 1_000 });
      return { code, expiresIn: CODE_SECONDS };
    },
    join: async (code, device) => {
      countAttempt();
      const invited = codes.get(code.toUpperCase());
      if (invited === undefined || invited.deadlineMs <= clock.monotonic()) {
        throw refuse("The code is unknown, used or older than five minutes; ask for another.");
      }
      const key = await importKey(device.publicKey);
      codes.delete(code.toUpperCase());
      const challenge = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
      const { grants, deadlineMs } = invited;
      challenges.set(device.id, { device, key, challenge, grants, deadlineMs });
      return { challenge };
    },
    confirm: async (deviceId, signature) => {
      const open = challenges.get(deviceId);
      challenges.delete(deviceId);
      const bytes = toBytes(signature);
      if (open === undefined || bytes === null || open.deadlineMs <= clock.monotonic()) {
        throw refuse("There is no challenge for this device; join with a code first.");
      }
      // Some sign the bytes, some the text they were given; both prove the same.
      const texts = [toBytes(open.challenge), new TextEncoder().encode(open.challenge)];
      for (const text of texts) {
        if (text === null) continue;
        if (await crypto.subtle.verify({ name: "Ed25519" }, open.key, bytes, text)) {
          return { device: open.device, grants: open.grants };
        }
      }
      throw refuse("The signature is not that of the device's key over the challenge.");
    },
  };
}
