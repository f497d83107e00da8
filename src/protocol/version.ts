/**
 * The version of everything that crosses the wire.
 *
 * 1: the first protocol.
 */
export const PROTOCOL_VERSION = 1;

/** The oldest protocol that this service still speaks. A client that names an older one gets 426. */
export const PROTOCOL_FLOOR = 1;
