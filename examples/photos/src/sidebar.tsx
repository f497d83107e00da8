import {
  ActionIcon,
  AppShell,
  ColorSwatch,
  Menu,
  NavLink,
  ScrollArea,
  Select,
  Text,
  TextInput,
  UnstyledButton,
} from "@mantine/core";
import {
  FolderTree,
  Heart,
  Images,
  LogOut,
  MoreHorizontal,
  Plus,
  Sparkles,
  Trash2,
} from "lucide-react";
import { useState } from "react";
import type { ReactNode } from "react";
import { tellFailure } from "./act.ts";
import { pictureUrl } from "./picture.ts";
import { goTo, toHash } from "./route.ts";
import type { Route } from "./route.ts";
import type { ShellProps } from "./shell.tsx";
import type { AlbumRecord } from "./sync.ts";
import { useClient, useQuery, useRecord } from "./sync.ts";

const tagPalette = ["grape", "pink", "yellow", "cyan", "lime", "orange", "indigo", "teal"];

/** Where one can go: favorites, albums, folders and tags of the library. */
export function Sidebar({ library, libraries, route, ...props }: ShellProps & { route: Route }) {
  return (
    <>
      <AppShell.Section p="sm" pb={4}>
        <Select
          data={libraries.map(({ id, name }) => ({ value: id, label: name }))}
          value={library.id}
          onChange={(id) => id !== null && props.onChoose(id)}
          allowDeselect={false}
          size="sm"
          variant="filled"
          aria-label="Library"
          data-testid="library-select"
        />
      </AppShell.Section>
      <AppShell.Section grow component={ScrollArea} scrollbarSize={6} px="sm">
        <NavLink
          href={toHash({ view: "favorites" })}
          label="Favorites"
          leftSection={<Heart size={17} strokeWidth={1.8} />}
          active={route.view === "favorites"}
          data-testid="favorites-link"
          className="nav"
        />
        <Albums route={route} />
        <Folders route={route} />
        <Tags route={route} />
      </AppShell.Section>
      <AppShell.Section p="xs" className="navbar-foot">
        <More onSample={props.onSample} onSignOut={props.onSignOut} />
      </AppShell.Section>
    </>
  );
}

function Albums({ route }: { route: Route }) {
  const client = useClient();
  const albums = useQuery("album.list", { limit: 1_000 });
  const add = (name: string) => {
    const { recordId } = tellFailure(client.insert("album", { name }));
    if (recordId !== undefined) goTo({ view: "album", id: recordId });
  };
  return (
    <Section title="Albums" placeholder="Name of the album" onAdd={add} testId="new-album">
      {albums.data?.map((album) => (
        <AlbumLink
          key={album.id}
          album={album}
          isActive={route.view === "album" && route.id === album.id}
        />
      ))}
    </Section>
  );
}

function Folders({ route }: { route: Route }) {
  const locations = useQuery("location.list", {});
  return (
    <Section title="Folders">
      {locations.data?.map((location) => (
        <NavLink
          key={location.id}
          href={toHash({ view: "folder", locationId: location.id, parentId: null })}
          label={location.name}
          leftSection={<FolderTree size={17} strokeWidth={1.8} />}
          active={route.view === "folder" && route.locationId === location.id}
          data-testid="location-link"
          className="nav"
        />
      ))}
    </Section>
  );
}

function Tags({ route }: { route: Route }) {
  const client = useClient();
  const tags = useQuery("tag.list", {});
  const add = (name: string) => {
    const color = tagPalette[(tags.data?.length ?? 0) % tagPalette.length] ?? "teal";
    tellFailure(client.insert("tag", { name, color }));
  };
  return (
    <Section title="Tags" placeholder="Name of the tag" onAdd={add} testId="new-tag">
      {tags.data?.map((tag) => (
        <NavLink
          key={tag.id}
          href={toHash({ view: "tag", id: tag.id })}
          label={tag.name}
          leftSection={
            <ColorSwatch
              color={`var(--mantine-color-${tag.color ?? "gray"}-6)`}
              size={11}
              mx={3}
              withShadow={false}
            />
          }
          active={route.view === "tag" && route.id === tag.id}
          data-testid="tag-link"
          data-id={tag.id}
          className="nav"
        />
      ))}
    </Section>
  );
}

function More({ onSample, onSignOut }: Pick<ShellProps, "onSample" | "onSignOut">) {
  return (
    <Menu position="top-start" width={220}>
      <Menu.Target>
        <UnstyledButton className="foot-button" aria-label="More">
          <MoreHorizontal size={16} /> <Text size="sm">More</Text>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<Sparkles size={15} />} onClick={onSample}>
          New sample library
        </Menu.Item>
        <Menu.Item leftSection={<LogOut size={15} />} onClick={onSignOut}>
          Forget the token
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function AlbumLink({ album, isActive }: { album: AlbumRecord; isActive: boolean }) {
  const client = useClient();
  const cover = useRecord("file", album.coverId);
  return (
    <NavLink
      href={toHash({ view: "album", id: album.id })}
      label={album.name}
      leftSection={
        cover.data === null ? (
          <span className="cover">
            <Images size={14} strokeWidth={1.8} />
          </span>
        ) : (
          <img className="cover" src={pictureUrl(cover.data.id, cover.data.parentId)} alt="" />
        )
      }
      rightSection={
        <ActionIcon
          variant="subtle"
          color="gray"
          size="sm"
          className="on-hover"
          aria-label={`Delete ${album.name}`}
          onClick={(event) => {
            event.preventDefault();
            tellFailure(client.action("album.delete", { id: album.id }));
            if (isActive) goTo({ view: "home" });
          }}
        >
          <Trash2 size={14} />
        </ActionIcon>
      }
      active={isActive}
      data-testid="album-link"
      data-id={album.id}
      className="nav"
    />
  );
}

function Section(props: {
  title: string;
  placeholder?: string;
  testId?: string;
  onAdd?: (name: string) => void;
  children?: ReactNode;
}) {
  const [name, setName] = useState<string | null>(null);
  return (
    <section className="nav-section">
      <header>
        <Text size="xs" fw={600} c="dimmed">
          {props.title}
        </Text>
        {props.onAdd !== undefined && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={`New in ${props.title}`}
            data-testid={props.testId}
            onClick={() => setName("")}
          >
            <Plus size={15} />
          </ActionIcon>
        )}
      </header>
      {name !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim() !== "") props.onAdd?.(name.trim());
            setName(null);
          }}
        >
          <TextInput
            autoFocus
            size="xs"
            mb={4}
            value={name}
            placeholder={props.placeholder}
            onChange={(event) => setName(event.currentTarget.value)}
            onBlur={() => setName(null)}
            onKeyDown={(event) => event.key === "Escape" && setName(null)}
            data-testid={`${props.testId ?? "new"}-name`}
          />
        </form>
      )}
      {props.children}
    </section>
  );
}
