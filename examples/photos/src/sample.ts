/**
 * A library to look at: a tree with a few trips, an archive of thousands, albums and tags. Written
 * through the same routes that everybody has.
 *
 * @module
 */
import { request } from "./session.ts";
import type { LibrarySummary } from "./session.ts";

interface Folder {
  readonly name: string;
  readonly parent?: string;
  readonly count: number;
  readonly title: (index: number) => string;
  readonly year: number;
}

const iceland = ["Skógafoss", "Black beach", "Glacier lagoon", "Northern lights", "Kirkjufell"];
const kyoto = ["Arashiyama", "Fushimi gates", "Temple garden", "Kamo river", "Maple path"];
const alps = ["Ridge walk", "Morning hut", "Blue lake", "Last snow", "Valley mist"];
const moments = ["Picnic", "Harbour evening", "Cycling home", "First frost", "Lighthouse"];

const from = (words: readonly string[]) => (index: number) =>
  `${words[index % words.length] ?? "Photo"} ${String(Math.floor(index / words.length) + 1).padStart(2, "0")}.jpg`;
const numbered = (prefix: string) => (index: number) =>
  `${prefix}_${String(index + 1).padStart(4, "0")}.jpg`;

const folders: readonly Folder[] = [
  { name: "Iceland", count: 42, title: from(iceland), year: 2025 },
  { name: "Kyoto", count: 36, title: from(kyoto), year: 2024 },
  { name: "Alps", count: 30, title: from(alps), year: 2026 },
  { name: "Everyday", count: 25, title: from(moments), year: 2026 },
  { name: "Archive", count: 0, title: numbered("IMG"), year: 2020 },
  { name: "Camera roll", parent: "Archive", count: 4_800, title: numbered("IMG"), year: 2021 },
  { name: "Scans", parent: "Archive", count: 140, title: numbered("Scan"), year: 2019 },
  { name: "Notes", count: 6, title: (index) => `Travel notes ${index + 1}.md`, year: 2026 },
];

const tagColors = {
  "To print": "grape",
  Family: "pink",
  Best: "yellow",
  Draft: "gray",
  Sky: "cyan",
};

interface Made {
  readonly id: string;
  readonly name: string;
  readonly folder: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const id = (): string => crypto.randomUUID();

function makeFiles(locationId: string): Made[] {
  const files: Made[] = [];
  const ids = new Map(folders.map((folder) => [folder.name, id()]));
  for (const folder of folders) {
    const parentId = folder.parent === undefined ? null : (ids.get(folder.parent) ?? null);
    const fields = { location_id: locationId, parent_id: parentId, size: 0 };
    const data = { ...fields, name: folder.name, mime: "inode/directory" };
    files.push({ id: ids.get(folder.name) ?? id(), name: folder.name, folder: "", data });
  }
  for (const folder of folders) {
    for (let index = 0; index < folder.count; index += 1) {
      const name = folder.title(index);
      const extension = name.split(".").at(-1) ?? null;
      const day = new Date(
        Date.UTC(folder.year, index % 12, (index % 28) + 1, 9 + (index % 9), index % 60),
      );
      const data = {
        location_id: locationId,
        parent_id: ids.get(folder.name) ?? null,
        name,
        extension,
        mime: extension === "jpg" ? "image/jpeg" : "text/markdown",
        size: 1_400_000 + ((index * 739_391) % 5_200_000),
        modified_at: day.toISOString(),
      };
      files.push({ id: id(), name, folder: folder.name, data });
    }
  }
  return files;
}

type Change = Readonly<Record<string, unknown>>;
const insert = (resource_type: string, recordId: string, data: Change): Change => ({
  resource_type,
  operation: "insert",
  id: recordId,
  data,
});

/** Albums, tags and which files they hold. */
function makeCollections(files: readonly Made[]): Change[] {
  const changes: Change[] = [];
  const pick = (folder: string, every: number) =>
    files.filter((file) => file.folder === folder).filter((_, index) => index % every === 0);
  const albums: [string, string, readonly Made[]][] = [
    ["Iceland, ring road", "Ten days around the island.", pick("Iceland", 2)],
    ["Kyoto in autumn", "Maples, gates and gardens.", pick("Kyoto", 2)],
    ["Wallpapers", "Wide, quiet, full of sky.", [...pick("Alps", 3), ...pick("Iceland", 5)]],
    ["Prints for the hallway", "", pick("Everyday", 4)],
  ];
  for (const [name, description, members] of albums) {
    const albumId = id();
    changes.push(insert("album", albumId, { name, description, cover_id: members[0]?.id ?? null }));
    for (const [index, file] of members.entries()) {
      const position = (index + 1) * 1_024;
      changes.push(insert("album_item", id(), { album_id: albumId, file_id: file.id, position }));
    }
  }
  for (const [index, [name, color]] of Object.entries(tagColors).entries()) {
    const tagId = id();
    changes.push(insert("tag", tagId, { name, color }));
    for (const folder of ["Iceland", "Kyoto", "Alps", "Everyday"]) {
      for (const file of pick(folder, 4 + index)) {
        changes.push(insert("file_tag", id(), { file_id: file.id, tag_id: tagId }));
      }
    }
  }
  return changes;
}

/** Creates the sample library. */
export async function createSample(token: string): Promise<LibrarySummary> {
  const library = (await request(token, "/v1/libraries", {
    body: JSON.stringify({ name: "Sample photos" }),
  })) as LibrarySummary;
  const at = `/v1/libraries/${library.id}`;
  const locationId = id();
  const device = { device_id: "sample", name: "Pictures", path_hint: "~/Pictures" };
  const files = makeFiles(locationId);
  await request(token, `${at}/batch`, {
    body: JSON.stringify({ changes: [insert("location", locationId, device)] }),
  });
  const lines = files.map((file) => JSON.stringify({ id: file.id, ...file.data })).join("\n");
  await request(token, `${at}/bulk?resource_type=file&mode=insert`, {
    body: lines,
    type: "application/x-ndjson",
  });
  const changes = makeCollections(files);
  for (let start = 0; start < changes.length; start += 1_000) {
    const part = changes.slice(start, start + 1_000);
    await request(token, `${at}/batch`, { body: JSON.stringify({ changes: part }) });
  }
  return library;
}
