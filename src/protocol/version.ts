/**
 * The version of everything that crosses the wire.
 *
 * 1: the first protocol.
 */
export const PROTOCOL_VERSION = 1;
