/**
 * Pairing: a short code that an owner reads out proves that a device was invited, and a signature
 * proves that it holds the key it names.
 *
 *   owner ──codes──▶ code (5 minutes, one use) ──join──▶ challenge ──signed by the device──confirm──▶ token
 *                                                                                         │   ▲
 *                                       with `needs_approval`, within the five minutes:   └─ owner looks and lets it in
 *
 * Codes and challenges live in this process: the node that made a code must see its join.
 */
import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import { createId } from "../base/id.ts";
import type { Grant } from "../auth/capability.ts";
import { SyncError } from "../protocol/errors.ts";

interface PairingDevice {
  readonly id: string;
  readonly name: string;
  /** An Ed25519 key, raw (32 bytes) or SPKI, in base64, base64url or hexadecimal digits, or as PEM. */
  readonly publicKey: string;
}

export interface Pairing {
  /** Makes a code for whoever is to get these grants; an owner may want to see who that is (SEC-06). */
  createCode(
    grants: readonly Grant[],
    needsApproval: boolean,
  ): { readonly code: string; readonly expiresIn: number };
  /** Uses a code up. @throws rate_limited, unauthorized, invalid_body */
  join(code: string, device: PairingDevice): Promise<{ readonly challenge: string }>;
  /**
   * The device and what it was invited to, when it signed the challenge; null while it waits for an
   * owner, and may ask again. @throws unauthorized
   */
  confirm(deviceId: string, signature: string): Promise<Paired | null>;
  /** Devices that have proven who they are and wait for an owner. */
  waiting(): readonly WaitingDevice[];
  /** Lets a device in that waits, or sends it away. @throws not_found */
  decide(requestId: string, isLetIn: boolean): void;
}

interface Paired {
  readonly device: PairingDevice;
  readonly grants: readonly Grant[];
}

interface WaitingDevice extends Paired {
  readonly requestId: string;
  readonly expiresIn: number;
}

const CODE_SECONDS = 300;
const ATTEMPTS = 5;
const ATTEMPTS_MS = 60_000;
const OPEN_MAX = 1_000;
/** Without the letters and digits that people confuse. 32 of them: 8 make 40 bits. */
const ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/** What stands before the 32 bytes of an Ed25519 key in SPKI. */
const SPKI_PREFIX_BYTES = 12;

/** Reads base64 in either alphabet, hexadecimal digits of a key or a signature, and PEM. */
function toBytes(given: string): Uint8Array<ArrayBuffer> | null {
  const text = given.replaceAll(/-----[A-Z ]+-----|\s/g, "");
  // No key and no signature has so many letters in base64.
  if (/^[0-9a-f]+$/i.test(text) && [64, 88, 128].includes(text.length))
    return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
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
  const message = "An Ed25519 public key is needed: raw or SPKI, in base64 or hex, or as PEM.";
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

interface Invitation {
  readonly grants: readonly Grant[];
  readonly needsApproval: boolean;
  readonly deadlineMs: number;
}

interface Challenge extends Paired, Invitation {
  /** One join: an owner lets in this one, not whoever joins under the same name later. */
  readonly requestId: string;
  readonly key: CryptoKey;
  readonly challenge: string;
  readonly isProven: boolean;
  readonly isApproved: boolean;
}

const NO_CHALLENGE = "There is no challenge for this device; join with a code first.";

/** True when the device's key signed the challenge. */
async function isSigned({ key, challenge }: Challenge, signature: Uint8Array<ArrayBuffer>) {
  // Some sign the bytes, some the text they were given; both prove the same.
  for (const text of [toBytes(challenge), new TextEncoder().encode(challenge)]) {
    if (text === null) continue;
    if (await crypto.subtle.verify({ name: "Ed25519" }, key, signature, text)) return true;
  }
  return false;
}

/** Guessing is what a short code must be kept from, so every join counts, whoever asks. */
function createAttempts(clock: Clock): () => void {
  let attempts: number[] = [];
  return () => {
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
}

export function createPairing({ clock }: { readonly clock: Clock }): Pairing {
  const codes = createBoundedMap<string, Invitation>(OPEN_MAX);
  const challenges = createBoundedMap<string, Challenge>(OPEN_MAX);
  const countAttempt = createAttempts(clock);
  const isOpen = ({ deadlineMs }: Invitation): boolean => clock.monotonic() < deadlineMs;
  const findWaiting = (): Challenge[] =>
    [...challenges.values()].filter((one) => one.isProven && !one.isApproved && isOpen(one));

  return {
    createCode: (grants, needsApproval) => {
      const random = crypto.getRandomValues(new Uint8Array(8));
      const code = Array.from(random, (byte) => ALPHABET[byte % ALPHABET.length]).join("");
      const deadlineMs = clock.monotonic() + CODE_SECONDS * 1_000;
      codes.set(code, { grants, needsApproval, deadlineMs });
      return { code, expiresIn: CODE_SECONDS };
    },
    join: async (code, device) => {
      countAttempt();
      const invited = codes.get(code.toUpperCase());
      if (invited === undefined || !isOpen(invited)) {
        throw refuse("The code is unknown, used or older than five minutes; ask for another.");
      }
      const key = await importKey(device.publicKey);
      codes.delete(code.toUpperCase());
      const challenge = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
      const state = { requestId: createId(), isProven: false, isApproved: false };
      challenges.set(device.id, { ...invited, ...state, device, key, challenge });
      return { challenge };
    },
    confirm: async (deviceId, signature) => {
      const open = challenges.get(deviceId);
      // There is one try; who has proven itself may ask again while it waits.
      if (open?.isProven !== true) challenges.delete(deviceId);
      const bytes = toBytes(signature);
      if (open === undefined || bytes === null || !isOpen(open)) throw refuse(NO_CHALLENGE);
      if (!(await isSigned(open, bytes))) {
        throw refuse("The signature is not that of the device's key over the challenge.");
      }
      // Meanwhile an owner may have decided, or the device have joined anew.
      const now =
        challenges.get(deviceId) ?? (open.isProven ? undefined : { ...open, isProven: true });
      if (now?.requestId !== open.requestId) throw refuse(NO_CHALLENGE);
      if (now.needsApproval && !now.isApproved) {
        challenges.set(deviceId, now);
        return null;
      }
      challenges.delete(deviceId);
      return { device: now.device, grants: now.grants };
    },
    waiting: () =>
      findWaiting().map(({ requestId, device, grants, deadlineMs }) => ({
        requestId,
        device,
        grants,
        expiresIn: Math.ceil((deadlineMs - clock.monotonic()) / 1_000),
      })),
    decide: (requestId, isLetIn) => {
      const found = findWaiting().find((one) => one.requestId === requestId);
      if (found === undefined) {
        const detail = "No device waits under this id: it came too late, or has been decided on.";
        throw new SyncError("not_found", { what: `pairing request ${requestId}` }, { detail });
      }
      if (isLetIn) challenges.set(found.device.id, { ...found, isApproved: true });
      else challenges.delete(found.device.id);
    },
  };
}
