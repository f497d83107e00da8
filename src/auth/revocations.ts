import type { Clock } from "../base/clock.ts";
import { createEmitter } from "../base/emitter.ts";
import type { Capability } from "./capability.ts";

/** One token that is out, or all tokens of a subject that were issued until `revokedAtMs`. */
interface Revocation {
  readonly kind: "token" | "subject";
  readonly value: string;
  readonly revokedAtMs: number;
}

/** Where revocations are kept for all nodes, and for the next start. */
export interface RevocationsOptions {
  /** Returns those with `revokedAtMs` at or after `sinceMs`, in any order. */
  readonly load: (sinceMs: number) => Promise<readonly Revocation[]>;
  readonly save: (revocation: Revocation) => Promise<void>;
  readonly clock: Clock;
}

/** What has been revoked, in memory, so that every request can ask. */
export interface Revocations {
  isRevoked(capability: Capability): boolean;
  /**
   * Revokes at once on this node, then saves for the others. It holds here even when saving fails;
   * the caller then tries again.
   */
  revoke(what: Pick<Revocation, "kind" | "value">): Promise<void>;
  /** Learns what other nodes revoked. Called before the first request, and again every few seconds. */
  refresh(): Promise<void>;
  /** Adds a listener for each new revocation, here or elsewhere; returns what removes it. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
}

/** How late another node's revocation may become visible, by a slow commit or a clock that is behind. */
const overlapMs = 5 * 60 * 1_000;

/** Starts empty: call `refresh` before trusting it. */
export function createRevocations(options: RevocationsOptions): Revocations {
  const { clock, load, save } = options;
  const tokenIds = new Set<string>();
  const subjects = new Map<string, number>();
  const revoked = createEmitter<Revocation>();
  let loadedUntilMs = 0;
  let refreshing: Promise<void> | null = null;

  /** Returns whether it says anything new. */
  const remember = ({ kind, value, revokedAtMs }: Revocation): boolean => {
    if (kind === "token") {
      if (tokenIds.has(value)) return false;
      tokenIds.add(value);
      return true;
    }
    if ((subjects.get(value) ?? -1) >= revokedAtMs) return false;
    subjects.set(value, revokedAtMs);
    return true;
  };

  const pull = async (): Promise<void> => {
    const sinceMs = Math.max(0, Math.min(loadedUntilMs, clock.now()) - overlapMs);
    const loaded = await load(sinceMs);
    const news = loaded.filter(remember);
    // Only what was loaded moves it on: an own revocation says nothing about those of other nodes.
    for (const { revokedAtMs } of loaded) loadedUntilMs = Math.max(loadedUntilMs, revokedAtMs);
    for (const revocation of news) revoked.emit(revocation);
  };

  return {
    isRevoked: ({ tokenId, subject, issuedAtMs }) => {
      if (tokenIds.has(tokenId)) return true;
      const revokedAtMs = subjects.get(subject);
      if (revokedAtMs === undefined) return false;
      // Of the same millisecond counts as before, and so does a token that hides its age.
      return issuedAtMs === null || issuedAtMs <= revokedAtMs;
    },
    revoke: async ({ kind, value }) => {
      const revocation: Revocation = { kind, value, revokedAtMs: clock.now() };
      if (remember(revocation)) revoked.emit(revocation);
      await save(revocation);
    },
    refresh: () => {
      refreshing ??= pull().finally(() => {
        refreshing = null;
      });
      return refreshing;
    },
    onRevoked: (listener) => revoked.on(listener),
  };
}
