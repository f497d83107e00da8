import {
  ActionIcon,
  AppShell,
  Menu,
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
import { memo, useState } from "react";
import type { AnchorHTMLAttributes, ReactNode } from "react";
import { tellFailure } from "./act.ts";
import { goTo, toHash } from "./route.ts";
import type { Route } from "./route.ts";
import type { ShellProps } from "./shell.tsx";
import type { AlbumRecord, TagRecord } from "./sync.ts";
import { useClient, useGrowingList, useRecord } from "./sync.ts";
import { Picture } from "./thumb.tsx";

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
        <NavItem
          href={toHash({ view: "favorites" })}
          label="Favorites"
          left={<Heart size={17} strokeWidth={1.8} />}
          isActive={route.view === "favorites"}
          data-testid="favorites-link"
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
  const albums = useGrowingList("album.list", {});
  const add = (name: string) => {
    const { recordId } = tellFailure(client.insert("album", { name }));
    if (recordId !== undefined) goTo({ view: "album", id: recordId });
  };
  return (
    <Section title="Albums" placeholder="Name of the album" onAdd={add} testId="new-album">
      <Links list={albums}>
        {(album) => (
          <AlbumLink
            key={album.id}
            album={album}
            isActive={route.view === "album" && route.id === album.id}
          />
        )}
      </Links>
    </Section>
  );
}

function Folders({ route }: { route: Route }) {
  const locations = useGrowingList("location.list", {});
  return (
    <Section title="Folders">
      <Links list={locations}>
        {(location) => (
          <NavItem
            key={location.id}
            href={toHash({ view: "folder", locationId: location.id, parentId: null })}
            label={location.name}
            left={<FolderTree size={17} strokeWidth={1.8} />}
            isActive={route.view === "folder" && route.locationId === location.id}
            data-testid="location-link"
          />
        )}
      </Links>
    </Section>
  );
}

function Tags({ route }: { route: Route }) {
  const client = useClient();
  const tags = useGrowingList("tag.list", {});
  const add = (name: string) => {
    const color = tagPalette[(tags.data?.length ?? 0) % tagPalette.length] ?? "teal";
    tellFailure(client.insert("tag", { name, color }));
  };
  return (
    <Section title="Tags" placeholder="Name of the tag" onAdd={add} testId="new-tag">
      <Links list={tags}>
        {(tag) => (
          <TagLink key={tag.id} tag={tag} isActive={route.view === "tag" && route.id === tag.id} />
        )}
      </Links>
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

const AlbumLink = memo(function AlbumLink(props: { album: AlbumRecord; isActive: boolean }) {
  const { album, isActive } = props;
  const client = useClient();
  const cover = useRecord("file", album.coverId);
  return (
    <NavItem
      href={toHash({ view: "album", id: album.id })}
      label={album.name}
      left={
        cover.data === null ? (
          <span className="cover">
            <Images size={14} strokeWidth={1.8} />
          </span>
        ) : (
          <Picture id={cover.data.id} group={cover.data.parentId} size={24} className="cover" />
        )
      }
      isActive={isActive}
      data-testid="album-link"
      data-id={album.id}
    >
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        className="on-hover"
        aria-label={`Delete ${album.name}`}
        onClick={() => {
          tellFailure(client.action("album.delete", { id: album.id }));
          if (isActive) goTo({ view: "home" });
        }}
      >
        <Trash2 size={14} />
      </ActionIcon>
    </NavItem>
  );
});

const TagLink = memo(function TagLink({ tag, isActive }: { tag: TagRecord; isActive: boolean }) {
  return (
    <NavItem
      href={toHash({ view: "tag", id: tag.id })}
      label={tag.name}
      left={
        <span
          className="tag-dot"
          style={{ background: `var(--mantine-color-${tag.color ?? "gray"}-6)` }}
        />
      }
      isActive={isActive}
      data-testid="tag-link"
      data-id={tag.id}
    />
  );
});

/** A link, and what can be done with where it leads. */
function NavItem({
  label,
  left,
  isActive,
  children,
  ...link
}: {
  label: string;
  left: ReactNode;
  isActive: boolean;
} & AnchorHTMLAttributes<HTMLAnchorElement>) {
  return (
    <div className="nav" data-active={isActive || undefined}>
      <a {...link} className="nav-link" aria-current={isActive ? "page" : undefined}>
        {left}
        <span className="nav-label">{label}</span>
      </a>
      {children}
    </div>
  );
}

/** Links that are shown at once. */
const linksMax = 20;

/** The first links of a list; the rest when somebody asks for them. */
function Links<Item>(props: {
  list: { data: readonly Item[] | null; onEnd: (() => void) | undefined };
  children: (item: Item) => ReactNode;
}) {
  const { data, onEnd } = props.list;
  const [most, setMost] = useState(linksMax);
  const count = data?.length ?? 0;
  return (
    <>
      {data?.slice(0, most).map(props.children)}
      {(count > most || onEnd !== undefined) && (
        <UnstyledButton
          className="foot-button"
          onClick={() => {
            setMost(most * 2);
            if (most * 2 > count) onEnd?.();
          }}
        >
          <Text size="xs">Show more</Text>
        </UnstyledButton>
      )}
    </>
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
    <section className="nav-section" aria-label={props.title}>
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
