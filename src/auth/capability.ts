import { SyncError } from "../protocol/errors.ts";

/** From weakest to strongest; each role may do all that those before it may. */
export const roles = ["reader", "writer", "owner"] as const;

/** What someone may do in a library: read, also write, or also decide about the library itself. */
export type Role = (typeof roles)[number];

/** The `library` of a grant that reaches over every library and over the service itself. */
export const SERVICE_WIDE = "*";

/** The subject of the token by which a device's service acts for whoever uses it there. */
export const nodeSubject = (deviceId: string): string => `node:${deviceId}`;

/** One line of a token: a role in one library, or in all (`*`), perhaps for some types only. */
export interface Grant {
  readonly library: string;
  readonly role: Role;
  /** Resource types the grant covers; without it, all of them. */
  readonly types?: readonly string[];
}

/** What a verified token may do, for whom, and until when. */
export interface Capability {
  readonly tokenId: string;
  readonly subject: string;
  readonly grants: readonly Grant[];
  /** Null for a token that does not expire. */
  readonly expiresAtMs: number | null;
  /** Null when the issuer did not say; a revoked subject then loses the token whatever its age. */
  readonly issuedAtMs: number | null;
}

/** What a request wants to do. `library` is `*` for what concerns the service, not one library. */
export interface Need {
  readonly library: string;
  readonly role: Role;
  readonly type?: string;
}

/** Returns the strongest role the token has in the library for any type, or null without one. */
function roleIn(capability: Capability, libraryId: string): Role | null {
  let strongest: Role | null = null;
  for (const grant of capability.grants) {
    if (!reaches(grant, libraryId)) continue;
    if (strongest === null || !isAtLeast(strongest, grant.role)) strongest = grant.role;
  }
  return strongest;
}

/**
 * Tells whether one grant covers all of the need. With a `type`, a grant limited to other types does
 * not count. Without one, a limited grant opens the door for reader and writer, so the caller must
 * then hold every record to `allowedTypes`, or ask again with its type; it never opens it for
 * owner, because an owner's acts concern the library with all its types.
 */
export function allows(capability: Capability, need: Need): boolean {
  for (const grant of capability.grants) {
    if (!reaches(grant, need.library) || !isAtLeast(grant.role, need.role)) continue;
    if (coversType(grant, need)) return true;
  }
  return false;
}

/**
 * Returns the types the token may read (or do more with, given `role`), or null when it may for all.
 * The set is empty when nothing is granted. Streams, logs and snapshots are filtered by it.
 */
export function allowedTypes(
  capability: Capability,
  libraryId: string,
  role: Role = "reader",
): ReadonlySet<string> | null {
  const types = new Set<string>();
  for (const grant of capability.grants) {
    if (!reaches(grant, libraryId) || !isAtLeast(grant.role, role)) continue;
    if (grant.types === undefined) return null;
    for (const type of grant.types) types.add(type);
  }
  return types;
}

/**
 * Returns when `allows` does, and otherwise says what is missing. The reason is `no_grant`,
 * `role_too_low` or `type_not_granted`. @throws forbidden
 */
export function requireGrant(capability: Capability, need: Need): void {
  if (allows(capability, need)) return;
  const place = need.library === SERVICE_WIDE ? "the whole service" : `library ${need.library}`;
  const held = roleIn(capability, need.library);
  if (held === null) {
    const detail = `This needs the role ${need.role} in ${place}; the token grants nothing there.`;
    throw new SyncError("forbidden", { reason: "no_grant" }, { detail });
  }
  if (!isAtLeast(held, need.role)) {
    const detail = `This needs the role ${need.role} in ${place}; the token grants ${held}.`;
    throw new SyncError("forbidden", { reason: "role_too_low" }, { detail });
  }
  const what = need.type === undefined ? "all resource types" : `the type ${need.type}`;
  const detail = `This needs the role ${need.role} in ${place} for ${what}; the token's grant is limited to other types.`;
  throw new SyncError("forbidden", { reason: "type_not_granted" }, { detail });
}

/** As `requireGrant`, for what may touch any type. @throws forbidden */
export function requireAllTypes(
  capability: Capability,
  { library, role }: Omit<Need, "type">,
): void {
  requireGrant(capability, { library, role });
  if (allowedTypes(capability, library, role) === null) return;
  const detail = `This may concern every resource type of library ${library}; the token's grant is limited to some.`;
  throw new SyncError("forbidden", { reason: "type_not_granted" }, { detail });
}

function reaches(grant: Grant, libraryId: string): boolean {
  return grant.library === libraryId || grant.library === SERVICE_WIDE;
}

function isAtLeast(held: Role, wanted: Role): boolean {
  return roles.indexOf(held) >= roles.indexOf(wanted);
}

function coversType(grant: Grant, need: Need): boolean {
  if (grant.types === undefined) return true;
  return need.type === undefined ? need.role !== "owner" : grant.types.includes(need.type);
}
