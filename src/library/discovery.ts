import type { Registry } from "../resource/registry.ts";
import type { Catalog } from "./catalog.ts";

/** What another device sees of a library before it joins. */
export interface DiscoveredLibrary {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly created_at: string;
  readonly statistics: {
    readonly total_entries: number;
    readonly total_locations: number;
    readonly total_size_bytes: number;
    readonly device_count: number;
  };
}

const PAGE = 1_000;

/** The libraries of this service that `isVisible` lets the caller see, with their sizes. */
export async function describeLibraries(
  catalog: Catalog,
  registry: Registry,
  isVisible: (libraryId: string) => boolean,
): Promise<DiscoveredLibrary[]> {
  const found: DiscoveredLibrary[] = [];
  const sized = registry.resources.filter(({ columns }) =>
    columns.some(({ name }) => name === "size"),
  );
  const sums = sized.map(
    ({ tableName }) => `(SELECT coalesce(sum("size"), 0) FROM "${tableName}")`,
  );
  const listings = await catalog.list("", PAGE);
  for (const { id, name, description, createdAt } of listings) {
    if (!isVisible(id)) continue;
    const { database } = await catalog.open(id);
    const [rows = []] = await database.read([
      {
        sql: `SELECT (SELECT coalesce(sum(count), 0) FROM checksums),
          (SELECT coalesce(sum(count), 0) FROM checksums WHERE resource_type = 'location'),
          ${["0", ...sums].join(" + ")}, (SELECT count(*) FROM devices WHERE revoked_at IS NULL)`,
        args: [],
      },
    ]);
    const [entries = 0, locations = 0, size = 0, devices = 0] = (rows[0] ?? []) as number[];
    found.push({
      id,
      name,
      description,
      created_at: new Date(createdAt).toISOString(),
      statistics: {
        total_entries: entries,
        total_locations: locations,
        total_size_bytes: size,
        device_count: devices,
      },
    });
  }
  return found;
}
