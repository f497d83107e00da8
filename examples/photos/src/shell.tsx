import {
  ActionIcon,
  AppShell,
  Burger,
  Group,
  Text,
  TextInput,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { AppWindow, Info, Moon, Search, Sun } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { AlbumView } from "./album-view.tsx";
import { Details } from "./details.tsx";
import { FavoritesView, FolderView, HomeView, SearchView, TagView } from "./views.tsx";
import { goTo, useRoute } from "./route.ts";
import type { Route } from "./route.ts";
import { SelectionProvider, useSelection } from "./selection.tsx";
import { otherDevice } from "./session.ts";
import type { LibrarySummary } from "./session.ts";
import { Sidebar } from "./sidebar.tsx";
import type { PhotosClient } from "./sync.ts";
import { SyncIndicator } from "./sync-status.tsx";

export interface ShellProps {
  readonly client: PhotosClient;
  readonly library: LibrarySummary;
  readonly libraries: readonly LibrarySummary[];
  readonly onChoose: (id: string) => void;
  readonly onSample: () => void;
  readonly onSignOut: () => void;
}

/** The frame around every view. */
export function Shell(props: ShellProps) {
  const { hash } = useRoute();
  return (
    <SelectionProvider view={hash.startsWith("#/search") ? "#/search" : hash}>
      <Frame {...props} />
    </SelectionProvider>
  );
}

function Frame(props: ShellProps) {
  const { route, hash } = useRoute();
  const { ids } = useSelection();
  const [isMenuOpen, menu] = useDisclosure(false);
  // Where there is no room beside the files, they open above them.
  const [isOver, over] = useDisclosure(false);
  const hasDetails = ids.size === 1;
  const { close } = menu;
  useEffect(close, [close, hash]);
  return (
    <AppShell
      header={{ height: 60 }}
      navbar={{ width: 264, breakpoint: "sm", collapsed: { mobile: !isMenuOpen } }}
      aside={{
        width: { sm: 250, lg: 320 },
        breakpoint: "sm",
        collapsed: { desktop: !hasDetails, mobile: !hasDetails || !isOver },
      }}
      transitionDuration={0}
    >
      <AppShell.Header className="header">
        <Header
          client={props.client}
          route={route}
          menu={{ isOpen: isMenuOpen, toggle: menu.toggle }}
          details={hasDetails ? { isOpen: isOver, toggle: over.toggle } : null}
        />
      </AppShell.Header>
      <AppShell.Navbar className="navbar" aria-label="Library">
        <Sidebar {...props} route={route} />
      </AppShell.Navbar>
      <AppShell.Main className="main">
        <View route={route} />
      </AppShell.Main>
      <AppShell.Aside className="aside" aria-label="Details">
        {hasDetails && <Details id={[...ids][0] ?? ""} />}
      </AppShell.Aside>
    </AppShell>
  );
}

interface Toggle {
  readonly isOpen: boolean;
  readonly toggle: () => void;
}

function Header(props: {
  client: PhotosClient;
  route: Route;
  menu: Toggle;
  /** Null when there are none to be shown. */
  details: Toggle | null;
}) {
  const { client, route, menu, details } = props;
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap">
      <SkipLink />
      <Group gap="sm" wrap="nowrap" w={{ sm: 232 }}>
        <Burger
          opened={menu.isOpen}
          onClick={menu.toggle}
          hiddenFrom="sm"
          size="sm"
          aria-label={menu.isOpen ? "Close the menu" : "Open the menu"}
          aria-expanded={menu.isOpen}
        />
        <Logo />
        <Text fw={650} size="lg" className="brand" visibleFrom="sm">
          Syncline <span>Photos</span>
        </Text>
      </Group>
      <SearchBox route={route} />
      <Group gap="xs" wrap="nowrap">
        {details !== null && (
          <ActionIcon
            variant={details.isOpen ? "light" : "subtle"}
            size="lg"
            hiddenFrom="sm"
            aria-label="Details"
            aria-expanded={details.isOpen}
            data-testid="show-details"
            onClick={details.toggle}
          >
            <Info size={18} />
          </ActionIcon>
        )}
        <SyncIndicator client={client} />
        <Tooltip label="Open a second device">
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            visibleFrom="sm"
            aria-label="Open a second device"
            data-testid="second-device"
            onClick={() => window.open(otherDevice(), "_blank", "popup,width=1100,height=800")}
          >
            <AppWindow size={18} />
          </ActionIcon>
        </Tooltip>
        <ThemeToggle />
      </Group>
    </Group>
  );
}

/** Past the many links of the library, for who goes by keys. */
function SkipLink() {
  return (
    <a
      href="#content"
      className="skip"
      onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>("main :is([tabindex='0'], a, button)")?.focus();
      }}
    >
      Skip to the content
    </a>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case "album":
      return <AlbumView key={route.id} id={route.id} />;
    case "folder":
      return <FolderView locationId={route.locationId} parentId={route.parentId} />;
    case "tag":
      return <TagView id={route.id} />;
    case "search":
      return <SearchView text={route.text} />;
    case "favorites":
      return <FavoritesView />;
    default:
      return <HomeView />;
  }
}

function SearchBox({ route }: { route: Route }) {
  const [text, setText] = useState(route.view === "search" ? route.text : "");
  const input = useRef<HTMLInputElement>(null);
  const isSearching = route.view === "search";
  useEffect(() => {
    if (!isSearching) setText("");
  }, [isSearching]);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <TextInput
      ref={input}
      className="search"
      value={text}
      onChange={(event) => {
        const { value } = event.currentTarget;
        setText(value);
        if (value.trim() !== "") goTo({ view: "search", text: value });
        else if (isSearching) goTo({ view: "home" });
      }}
      placeholder="Search all files"
      leftSection={<Search size={16} />}
      radius="xl"
      variant="filled"
      aria-label="Search all files"
      data-testid="search-input"
    />
  );
}

function ThemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light") === "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={isDark ? "Light colors" : "Dark colors"}
      data-testid="theme-toggle"
      onClick={() => setColorScheme(isDark ? "light" : "dark")}
    >
      {isDark ? <Sun size={18} /> : <Moon size={18} />}
    </ActionIcon>
  );
}

function Logo() {
  return (
    <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--mantine-color-teal-7)" />
      <circle cx="22" cy="10.5" r="2.6" fill="#fff" opacity=".85" />
      <path d="M4.5 23.5 13 11.5l5.6 7.6 4-4.6 5 9z" fill="#fff" />
    </svg>
  );
}
