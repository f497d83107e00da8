/**
 * What an application exports, a file for each entry of the package: a declaration file must be able to
 * name it by what that one entry exports.
 */
import { createRegistry } from "syncline";
import type { InsertInput, RecordOf } from "syncline";
import { bundledPlugins } from "syncline/plugins";
import { plugins } from "./syncline.config.ts";

export type App = { readonly plugins: typeof plugins };

export const registry = createRegistry(plugins);
export const everything = createRegistry([...bundledPlugins, ...plugins] as const);
export const input: InsertInput<App, "note"> = { title: "milk" };
export const title: RecordOf<App, "note">["title"] = "milk";
// @ts-expect-error -- It is a string.
export const wrong: RecordOf<App, "note">["title"] = 1;
