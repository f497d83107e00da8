import * as v from "valibot";
import { jsonBody, type Api } from "./api.ts";
import type { CurrentFile } from "./diff.ts";

const locationSchema = v.looseObject({
  id: v.string(),
  device_id: v.string(),
  path_hint: v.optional(v.nullable(v.string()), null),
});

const fileSchema = v.looseObject({
  id: v.string(),
  location_id: v.string(),
  parent_id: v.optional(v.nullable(v.string()), null),
  name: v.string(),
  size: v.number(),
  mime: v.optional(v.nullable(v.string()), null),
  modified_at: v.optional(v.nullable(v.string()), null),
  content_id: v.optional(v.nullable(v.string()), null),
});

const pageRows = 1_000;

/** A directory tree of one device, as the library knows it. */
export interface LocationKey {
  readonly library: string;
  readonly deviceId: string;
  readonly path: string;
}

/** Finds the location of a path on this device; null when the library has none. */
export async function findLocation(api: Api, key: LocationKey): Promise<string | null> {
  for await (const page of readPages(api, `/v1/libraries/${key.library}/resources/location`)) {
    for (const row of page) {
      const location = v.parse(locationSchema, row);
      if (location.device_id === key.deviceId && location.path_hint === key.path) {
        return location.id;
      }
    }
  }
  return null;
}

/** Commits a new location. `id` is the caller's, so that a repeated request makes no second one. */
export async function createLocation(
  api: Api,
  key: LocationKey,
  { id, name }: { id: string; name: string },
): Promise<void> {
  const data = { device_id: key.deviceId, name, path_hint: key.path };
  const body = jsonBody({ resource_type: "location", operation: "insert", id, data });
  await api.request(`/v1/libraries/${key.library}/commit`, body);
}

/** Reads the files of a location page by page, and of each only what a comparison needs. */
export async function* readFiles(
  api: Api,
  library: string,
  locationId: string,
): AsyncGenerator<CurrentFile> {
  for await (const page of readPages(api, `/v1/libraries/${library}/resources/file`)) {
    for (const row of page) {
      const file = v.parse(fileSchema, row);
      if (file.location_id === locationId) yield toCurrent(file);
    }
  }
}

function toCurrent(file: v.InferOutput<typeof fileSchema>): CurrentFile {
  const modifiedMs = file.modified_at === null ? Number.NaN : Date.parse(file.modified_at);
  return {
    id: file.id,
    parentId: file.parent_id,
    name: file.name,
    size: file.size,
    mime: file.mime,
    modifiedMs: Number.isNaN(modifiedMs) ? null : modifiedMs,
    hasContentId: file.content_id !== null,
  };
}

async function* readPages(api: Api, path: string): AsyncGenerator<readonly unknown[]> {
  const schema = v.object({
    resources: v.array(v.unknown()),
    next_cursor: v.optional(v.nullable(v.string()), null),
  });
  for (let after: string | undefined; ;) {
    const page = await api.json(path, schema, { query: { limit: pageRows, after } });
    yield page.resources;
    if (page.next_cursor === null) return;
    after = page.next_cursor;
  }
}
