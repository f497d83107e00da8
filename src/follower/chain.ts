/**
 * Copies may follow copies, and each may be turned to another at any time: so they can come to follow one
 * another in a circle, in which nobody leads. Whoever is asked who leads passes the question on with the
 * devices it has passed; who finds itself among them is in a circle.
 *
 * @module
 */
import { SyncError } from "../protocol/errors.ts";
import type { Upstream } from "./upstream.ts";

/** More copies than anybody has in a row. */
const CHAIN_MAX = 16;

/** The devices from a copy to who leads, itself first; or to the first that the question has passed already. */
export async function chainOf(
  { deviceId, upstream }: { readonly deviceId: string; readonly upstream: Upstream },
  through: readonly string[],
): Promise<readonly string[]> {
  const isOver = through.includes(deviceId) || through.length >= CHAIN_MAX;
  return [deviceId, ...(isOver ? [] : await upstream.chain([...through, deviceId]))];
}

/** How a circle is told, from the one that is followed. */
export const toPath = (chain: readonly string[]): string => chain.join(" → ");

/** Says of a leader that it follows this very copy. */
export function circular(chain: readonly string[]): SyncError {
  const detail =
    `The leader follows this copy itself, by ${toPath(chain)}: nobody leads the library. Let one of ` +
    "them follow who leads it, or promote it.";
  return new SyncError("forbidden", { reason: "circle" }, { detail });
}
