import { useMemo, useSyncExternalStore } from "react";

/** What the window shows. It lives in the address, so that a link or a second window finds it. */
export type Route =
  | { readonly view: "album"; readonly id: string }
  | { readonly view: "folder"; readonly locationId: string; readonly parentId: string | null }
  | { readonly view: "tag"; readonly id: string }
  | { readonly view: "search"; readonly text: string }
  | { readonly view: "favorites" }
  | { readonly view: "home" };

function parse(hash: string): Route {
  const [view, first, second] = hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  if (view === "album" && first !== undefined) return { view, id: first };
  if (view === "tag" && first !== undefined) return { view, id: first };
  if (view === "search" && first !== undefined) return { view, text: first };
  if (view === "favorites") return { view };
  if (view === "folder" && first !== undefined) {
    return { view, locationId: first, parentId: second ?? null };
  }
  return { view: "home" };
}

export function toHash(route: Route): string {
  switch (route.view) {
    case "album":
    case "tag":
      return `#/${route.view}/${route.id}`;
    case "search":
      return `#/search/${encodeURIComponent(route.text)}`;
    case "folder":
      return `#/folder/${route.locationId}${route.parentId === null ? "" : `/${route.parentId}`}`;
    default:
      return `#/${route.view}`;
  }
}

export function goTo(route: Route): void {
  location.hash = toHash(route);
}

const subscribe = (listener: () => void) => {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
};

export function useRoute(): { readonly route: Route; readonly hash: string } {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => ({ route: parse(hash), hash }), [hash]);
}
