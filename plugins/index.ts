import { albumPlugin } from "./album.ts";
import { filePlugin } from "./file.ts";
import { locationPlugin } from "./location.ts";
import { tagPlugin } from "./tag.ts";

/** The plugins that a service has when its configuration names no others. */
export const bundledPlugins = [locationPlugin, filePlugin, albumPlugin, tagPlugin] as const;

// A declaration file of an application may have to name it.
export type { mergeUserMetadata } from "./rules/file.ts";
