import { v5 } from "uuid";

/**
 * The id of what joins two records: the same on every device, so that two become one. Given as bytes,
 * a namespace may be any id; as text only one that RFC 9562 knows the version of.
 */
export function linkId(namespace: string, name: string): string {
  const digits = namespace.replaceAll("-", "").match(/../g) ?? [];
  const bytes = Uint8Array.from(digits, (pair) => Number.parseInt(pair, 16));
  return v5(name.toLowerCase(), bytes);
}
