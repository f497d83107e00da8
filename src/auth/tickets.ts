import { createBoundedMap } from "../base/bounded-map.ts";
import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import { allowedTypes, requireGrant, type Capability } from "./capability.ts";

/** A ticket as the client receives it; `expiresIn` is in seconds. */
interface IssuedTicket {
  readonly ticket: string;
  readonly expiresIn: number;
}

/**
 * Tickets let a browser's `EventSource`, which cannot send a header, open one stream. They live in
 * this process only, so the node that issued a ticket must redeem it.
 */
export interface Tickets {
  /** Makes a ticket for one stream of one library. @throws forbidden */
  issue(request: { capability: Capability; library: string }): IssuedTicket;
  /**
   * Returns the reader's capability behind the ticket, or null when it is unknown, used, too old or
   * for another library. Any attempt uses it up. Whether the token has been revoked meanwhile is
   * for the caller to ask: the capability keeps its token id, subject and times.
   */
  redeem(ticket: string, library: string): Capability | null;
}

interface Outstanding {
  readonly capability: Capability;
  readonly library: string;
  readonly deadlineMs: number;
}

const outstandingMax = 10_000;
const ticketBytes = 32;

/** Keeps at most 10,000 tickets that nobody used; past that the oldest is dropped. */
export function createTickets(options: { clock: Clock; limits: Limits }): Tickets {
  const { clock, limits } = options;
  const outstanding = createBoundedMap<string, Outstanding>(outstandingMax);
  return {
    issue: ({ capability, library }) => {
      requireGrant(capability, { library, role: "reader" });
      const ticket = createTicket();
      outstanding.set(ticket, {
        capability: restrict(capability, library),
        library,
        deadlineMs: clock.monotonic() + limits.ticketTtlMs,
      });
      return { ticket, expiresIn: Math.floor(limits.ticketTtlMs / 1_000) };
    },
    redeem: (ticket, library) => {
      const found = outstanding.get(ticket);
      if (found === undefined) return null;
      outstanding.delete(ticket);
      if (found.library !== library || found.deadlineMs <= clock.monotonic()) return null;
      const { expiresAtMs } = found.capability;
      return expiresAtMs !== null && expiresAtMs <= clock.now() ? null : found.capability;
    },
  };
}

function restrict(capability: Capability, library: string): Capability {
  const types = allowedTypes(capability, library);
  const grant = { library, role: "reader" } as const;
  return { ...capability, grants: [types === null ? grant : { ...grant, types: [...types] }] };
}

function createTicket(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ticketBytes));
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
