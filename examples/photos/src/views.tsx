import { ActionIcon, Anchor, Center, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { ChevronRight, Heart, ImageOff, LayoutGrid, List } from "lucide-react";
import { useDeferredValue, useMemo } from "react";
import type { ReactNode } from "react";
import { FileGrid } from "./file-grid.tsx";
import { FileTable } from "./file-table.tsx";
import { explain } from "./act.ts";
import { count } from "./format.ts";
import { toHash } from "./route.ts";
import { SelectionBar } from "./selection-bar.tsx";
import type { AlbumRecord, FileRecord } from "./sync.ts";
import { countOf, isFolder, useGrowingList, useQuery, useRecord, useSyncStatus } from "./sync.ts";
import { Picture, Thumb } from "./thumb.tsx";
import { VirtualGrid } from "./virtual-grid.tsx";

/** A heading, the files, and what can be done with those that are selected. */
export function Page(props: {
  title: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="page">
      <Group className="page-head" justify="space-between" wrap="nowrap" align="flex-end">
        <div className="page-title">
          <Title order={1} size="h3" lineClamp={1} data-testid="page-title">
            {props.title}
          </Title>
          {props.note !== undefined && (
            <Text size="sm" c="dimmed" lineClamp={1} data-testid="page-note">
              {props.note}
            </Text>
          )}
        </div>
        {props.actions}
      </Group>
      {props.children}
    </div>
  );
}

/** What to show while there is nothing yet, or nothing at all. */
export function Files(props: {
  data: readonly FileRecord[] | null;
  error: unknown;
  empty: string;
  label: string;
  look: "list" | "grid";
  onEnd?: (() => void) | undefined;
}) {
  const { data, error, empty, label, look, onEnd } = props;
  if (data === null) return <Missing error={error} />;
  if (data.length === 0) return <Empty text={empty} />;
  const List = look === "list" ? FileTable : FileGrid;
  return (
    <>
      <List files={data} label={label} onEnd={onEnd} />
      <SelectionBar files={data} />
    </>
  );
}

/** In place of an answer that has not come. */
export function Missing({ error }: { error: unknown }) {
  const { connection } = useSyncStatus();
  if (error !== null) return <Empty text={explain(error)} />;
  if (connection === "offline") {
    return <Empty text="This has not been here before. It comes with the next connection." />;
  }
  return (
    <Center flex={1}>
      <Loader type="dots" />
    </Center>
  );
}

export function Empty({ text }: { text: string }) {
  return (
    <Center flex={1}>
      <Stack align="center" gap="xs" c="dimmed">
        <ImageOff size={36} strokeWidth={1.3} />
        <Text size="sm">{text}</Text>
      </Stack>
    </Center>
  );
}

function useLook(initial: "list" | "grid") {
  const [look, setLook] = useLocalStorage<"list" | "grid">({
    key: `look.${initial}`,
    defaultValue: initial,
  });
  const toggle = (
    <ActionIcon.Group>
      <ActionIcon
        variant={look === "list" ? "light" : "default"}
        onClick={() => setLook("list")}
        aria-label="Show as a list"
        aria-pressed={look === "list"}
        data-testid="look-list"
      >
        <List size={16} />
      </ActionIcon>
      <ActionIcon
        variant={look === "grid" ? "light" : "default"}
        onClick={() => setLook("grid")}
        aria-label="Show as pictures"
        aria-pressed={look === "grid"}
        data-testid="look-grid"
      >
        <LayoutGrid size={16} />
      </ActionIcon>
    </ActionIcon.Group>
  );
  return { look, toggle };
}

export function FolderView({
  locationId,
  parentId,
}: {
  locationId: string;
  parentId: string | null;
}) {
  const { look, toggle } = useLook("list");
  const list = useGrowingList("file.by_directory", { locationId, parentId }, 5_000);
  const { data, error, onEnd } = list;
  const folder = useRecord("file", parentId);
  const location = useRecord("location", locationId);
  // Folders first, each group by name as the service orders it.
  const files = useMemo(
    () =>
      data === null ? null : [...data.filter(isFolder), ...data.filter((file) => !isFolder(file))],
    [data],
  );
  const title = folder.data?.name ?? location.data?.name ?? "…";
  return (
    <Page
      title={title}
      note={
        <Crumbs
          locationId={locationId}
          parent={parentId}
          tail={files === null ? "" : countOf(list, count(files.length, "item"))}
        />
      }
      actions={toggle}
    >
      <Files
        data={files}
        error={error}
        empty="Nothing lies in this folder."
        label={title}
        look={look}
        onEnd={onEnd}
      />
    </Page>
  );
}

function Crumbs({
  locationId,
  parent,
  tail,
}: {
  locationId: string;
  parent: string | null;
  tail: string;
}) {
  return (
    <span className="crumbs">
      <Crumb locationId={locationId} id={parent} />
      {tail}
    </span>
  );
}

/** The way from the root down to a folder: each step asks for the one above. */
function Crumb({ locationId, id }: { locationId: string; id: string | null }): ReactNode {
  const location = useRecord("location", locationId);
  const folder = useRecord("file", id);
  if (id === null) {
    return (
      <>
        <Anchor href={toHash({ view: "folder", locationId, parentId: null })} c="dimmed">
          {location.data?.name ?? "…"}
        </Anchor>
        <ChevronRight size={13} />
      </>
    );
  }
  if (folder.data === null) return null;
  return (
    <>
      <Crumb locationId={locationId} id={folder.data.parentId} />
      <Anchor href={toHash({ view: "folder", locationId, parentId: id })} c="dimmed">
        {folder.data.name}
      </Anchor>
      <ChevronRight size={13} />
    </>
  );
}

export function TagView({ id }: { id: string }) {
  const { look, toggle } = useLook("grid");
  const tag = useRecord("tag", id);
  const list = useGrowingList("file.with_tag", { tagId: id });
  const { data, error, onEnd } = list;
  const title = tag.data?.name ?? "…";
  return (
    <Page
      title={title}
      note={data === null ? "" : countOf(list, count(data.length, "file"))}
      actions={toggle}
    >
      <Files
        data={data}
        error={error}
        empty="No file carries this tag."
        label={title}
        look={look}
        onEnd={onEnd}
      />
    </Page>
  );
}

export function SearchView({ text }: { text: string }) {
  const { look, toggle } = useLook("list");
  // Typing stays quick: the list follows when there is time, and the old one stays meanwhile.
  const wanted = useDeferredValue(text.trim());
  const { data, error, isComplete } = useQuery(
    "file.search",
    { text: wanted, limit: 500 },
    { enabled: wanted !== "" },
  );
  const note = data === null ? "" : countOf({ isComplete }, count(data.length, "file"));
  return (
    <Page title={`“${text.trim()}”`} note={note} actions={toggle}>
      <Files
        data={data}
        error={error}
        empty="No file has this in its name."
        label={`Files with “${text.trim()}”`}
        look={look}
      />
    </Page>
  );
}

export function FavoritesView() {
  const list = useGrowingList("file.favorites", {});
  const { data, error, onEnd } = list;
  return (
    <Page title="Favorites" note={data === null ? "" : countOf(list, count(data.length, "file"))}>
      {data === null ? (
        <Missing error={error} />
      ) : data.length === 0 ? (
        <Empty text="Select a photo and give it a heart." />
      ) : (
        <VirtualGrid
          items={data}
          onEnd={onEnd}
          draw={({ id, fileId }) => <FavoriteCard key={id} fileId={fileId} />}
        />
      )}
    </Page>
  );
}

function FavoriteCard({ fileId }: { fileId: string }) {
  const { data: file } = useRecord("file", fileId);
  if (file === null) return <span />;
  return (
    <a
      className="card"
      href={toHash({ view: "folder", locationId: file.locationId, parentId: file.parentId })}
    >
      <div className="card-picture">
        <Thumb file={file} />
        <Heart className="card-heart" size={18} fill="currentColor" />
      </div>
      <Text size="xs" truncate className="card-name">
        {file.name}
      </Text>
    </a>
  );
}

const albumLook = { width: 240, gap: 22, heightOf: (width: number) => (width * 2) / 3 + 62 };

/** The albums, large. */
export function HomeView() {
  const list = useGrowingList("album.list", {});
  const { data, error, onEnd } = list;
  return (
    <Page title="Albums" note={data === null ? "" : countOf(list, count(data.length, "album"))}>
      {data === null ? (
        <Missing error={error} />
      ) : (
        <VirtualGrid
          items={data}
          look={albumLook}
          onEnd={onEnd}
          draw={(album) => <AlbumCard key={album.id} album={album} />}
        />
      )}
    </Page>
  );
}

function AlbumCard({ album }: { album: AlbumRecord }) {
  const { data: items, isComplete } = useQuery("album.items", { albumId: album.id, limit: 100 });
  const ids = [album.coverId, ...(items ?? []).map((item) => item.fileId)].filter(
    (id) => id !== null,
  );
  const shown = [...new Set(ids)].slice(0, 3);
  return (
    <a
      className="album-card"
      href={toHash({ view: "album", id: album.id })}
      data-testid="album-card"
    >
      <div className="album-covers" data-count={shown.length}>
        {shown.map((id) => (
          <AlbumCover key={id} id={id} />
        ))}
      </div>
      <Text fw={600} mt="xs" truncate>
        {album.name}
      </Text>
      <Text size="sm" c="dimmed">
        {items === null
          ? "…"
          : isComplete
            ? count(items.length, "photo")
            : `More than ${count(items.length, "photo")}`}
      </Text>
    </a>
  );
}

function AlbumCover({ id }: { id: string }) {
  const { data } = useRecord("file", id);
  return data === null ? <span className="thumb" /> : <Picture id={id} group={data.parentId} />;
}
