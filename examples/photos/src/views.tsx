import {
  ActionIcon,
  Anchor,
  Center,
  Group,
  Loader,
  Skeleton,
  Stack,
  Text,
  Title,
} from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { ChevronRight, Heart, ImageOff, LayoutGrid, List } from "lucide-react";
import { useDeferredValue, useMemo } from "react";
import type { ReactNode } from "react";
import { FileGrid } from "./file-grid.tsx";
import { FileTable } from "./file-table.tsx";
import { explain } from "./act.ts";
import { count } from "./format.ts";
import { pictureUrl } from "./picture.ts";
import { toHash } from "./route.ts";
import { SelectionBar } from "./selection-bar.tsx";
import type { AlbumRecord, FileRecord } from "./sync.ts";
import { isFolder, useQuery, useRecord, useSyncStatus } from "./sync.ts";

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
          <Title order={3} lineClamp={1} data-testid="page-title">
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
  look: "list" | "grid";
}) {
  const { data, error, empty, look } = props;
  if (data === null) return <Missing error={error} />;
  if (data.length === 0) return <Empty text={empty} />;
  return (
    <>
      {look === "list" ? <FileTable files={data} /> : <FileGrid files={data} />}
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
        data-testid="look-list"
      >
        <List size={16} />
      </ActionIcon>
      <ActionIcon
        variant={look === "grid" ? "light" : "default"}
        onClick={() => setLook("grid")}
        aria-label="Show as pictures"
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
  const { data, error } = useQuery("file.by_directory", { locationId, parentId, limit: 5_000 });
  const folder = useRecord("file", parentId);
  const location = useRecord("location", locationId);
  // Folders first, each group by name as the service orders it.
  const files = useMemo(
    () =>
      data === null ? null : [...data.filter(isFolder), ...data.filter((file) => !isFolder(file))],
    [data],
  );
  return (
    <Page
      title={folder.data?.name ?? location.data?.name ?? "…"}
      note={
        <Crumbs
          locationId={locationId}
          parent={parentId}
          tail={files === null ? "" : count(files.length, "item")}
        />
      }
      actions={toggle}
    >
      <Files data={files} error={error} empty="Nothing lies in this folder." look={look} />
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
  const { data, error } = useQuery("file.with_tag", { tagId: id });
  return (
    <Page
      title={tag.data?.name ?? "…"}
      note={data === null ? "" : count(data.length, "file")}
      actions={toggle}
    >
      <Files data={data} error={error} empty="No file carries this tag." look={look} />
    </Page>
  );
}

export function SearchView({ text }: { text: string }) {
  const { look, toggle } = useLook("list");
  // Typing stays quick: the list follows when there is time, and the old one stays meanwhile.
  const wanted = useDeferredValue(text.trim());
  const { data, error } = useQuery(
    "file.search",
    { text: wanted, limit: 500 },
    { enabled: wanted !== "" },
  );
  const note =
    data === null ? "" : `${data.length === 500 ? "The first " : ""}${count(data.length, "file")}`;
  return (
    <Page title={`“${text.trim()}”`} note={note} actions={toggle}>
      <Files data={data} error={error} empty="No file has this in its name." look={look} />
    </Page>
  );
}

export function FavoritesView() {
  const { data } = useQuery("file.favorites", {});
  return (
    <Page title="Favorites" note={data === null ? "" : count(data.length, "file")}>
      {data?.length === 0 ? (
        <Empty text="Select a photo and give it a heart." />
      ) : (
        <div className="scroller favorites">
          {data?.map((metadata) => (
            <FavoriteCard key={metadata.id} fileId={metadata.fileId} />
          ))}
        </div>
      )}
    </Page>
  );
}

function FavoriteCard({ fileId }: { fileId: string }) {
  const { data: file } = useRecord("file", fileId);
  if (file === null) return null;
  return (
    <a
      className="card"
      href={toHash({ view: "folder", locationId: file.locationId, parentId: file.parentId })}
    >
      <div className="card-picture">
        <img className="thumb" src={pictureUrl(file.id, file.parentId)} alt="" />
        <Heart className="card-heart" size={18} fill="currentColor" />
      </div>
      <Text size="xs" truncate>
        {file.name}
      </Text>
    </a>
  );
}

/** The albums, large. */
export function HomeView() {
  const { data } = useQuery("album.list", { limit: 1_000 });
  return (
    <Page title="Albums" note={data === null ? "" : count(data.length, "album")}>
      <div className="scroller albums">
        {data === null && [1, 2, 3].map((key) => <Skeleton key={key} className="album-card" />)}
        {data?.map((album) => (
          <AlbumCard key={album.id} album={album} />
        ))}
      </div>
    </Page>
  );
}

function AlbumCard({ album }: { album: AlbumRecord }) {
  const { data: items } = useQuery("album.items", { albumId: album.id });
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
        {items === null ? "…" : count(items.length, "photo")}
      </Text>
    </a>
  );
}

function AlbumCover({ id }: { id: string }) {
  const { data } = useRecord("file", id);
  return data === null ? (
    <span className="thumb" />
  ) : (
    <img className="thumb" src={pictureUrl(id, data.parentId)} alt="" />
  );
}
