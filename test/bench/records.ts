/**
 * The records every server receives: byte for byte the same, made as cheaply as possible.
 *
 * @module
 */
let lastMs = 0;
let counter = 0;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** A UUID of version 7: ordered by time and a counter, the rest random. */
export function createUuid(): string {
  const now = Date.now();
  counter = now === lastMs ? counter + 1 : 0;
  // The counter has 24 bits here: a bulk makes more ids in a millisecond than 12 bits can order.
  lastMs = now;
  const time = hex(now, 12);
  const order = hex(counter, 6);
  const random = hex(Math.floor(Math.random() * 2 ** 48), 12);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${order.slice(0, 3)}-8${order.slice(3)}-${random}`;
}

export const albumDescription =
  "Four weeks along the ring road, seen from a small van with a broken heater.";

/** The JSON of one commit that inserts an album; its length does not depend on the id. */
export function encodeAlbumCommit(id: string, description: string): string {
  return JSON.stringify({
    resource_type: "album",
    operation: "insert",
    id,
    data: { name: "Iceland, day after day", description },
  });
}

export function encodeAlbumBatch(count: number): string {
  const changes = Array.from({ length: count }, () =>
    encodeAlbumCommit(createUuid(), albumDescription),
  );
  return `{"changes":[${changes.join(",")}]}`;
}

export interface FileRecord {
  readonly id: string;
  readonly location_id: string;
  readonly name: string;
  readonly extension: string;
  readonly size: number;
  readonly mime: string;
  readonly modified_at: string;
}

export function createFileRecord(locationId: string, index: number): FileRecord {
  return {
    id: createUuid(),
    location_id: locationId,
    name: `IMG_${index}.jpg`,
    extension: "jpg",
    size: 2_000_000 + (index % 1_000_000),
    mime: "image/jpeg",
    modified_at: "2026-05-04T03:02:01.123Z",
  };
}

/** `count` lines of NDJSON, numbered from `first`. */
export function encodeFileLines(locationId: string, first: number, count: number): Buffer {
  let lines = "";
  for (let index = first; index < first + count; index += 1) {
    lines += `${JSON.stringify(createFileRecord(locationId, index))}\n`;
  }
  return Buffer.from(lines, "latin1");
}
