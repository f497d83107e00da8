import { SyncError } from "../protocol/errors.ts";
import { compileResource } from "./compile.ts";
import type { CompiledResource } from "./compile.ts";
import type { AnyAction, AnyQuery, AnyResource, Plugin } from "./define.ts";
import { inDependencyOrder } from "./order.ts";

/** The resources, queries and actions of one service. The tuple type carries them to the client. */
export interface Registry<Parts extends readonly Plugin[] = readonly Plugin[]> {
  readonly plugins: Parts;
  /** In dependency order: what others need comes first. */
  readonly resources: readonly CompiledResource[];
  readonly queries: ReadonlyMap<string, AnyQuery>;
  readonly actions: ReadonlyMap<string, AnyAction>;
  /** The resource of that name. @throws unknown_resource_type */
  resource(type: string): CompiledResource;
  find(type: string): CompiledResource | undefined;
  /** Changes when a resource, a field or a rule changes; caches that persist compare it. */
  readonly hash: string;
}

/** The resource of that name in a registry's type. */
export type ResourceNamed<Source extends Registry, Type extends string> = Extract<
  Source["plugins"][number]["resources"][number],
  { readonly type: Type }
>;

/** A short, stable fingerprint (FNV-1a) of the declarations. */
function fingerprint(resources: readonly CompiledResource[]): string {
  const text = JSON.stringify(
    resources.map((resource) => [
      resource.type,
      resource.domain,
      resource.synced.map((column) => [column.name, column.kind, column.notNull]),
    ]),
  );
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Joins plugins, and checks at the start what would fail later. @throws Error for a wrong declaration */
export function createRegistry<const Parts extends readonly Plugin[]>(
  plugins: Parts,
): Registry<Parts> {
  const definitions: AnyResource[] = [];
  const queries = new Map<string, AnyQuery>();
  const actions = new Map<string, AnyAction>();
  const names = new Set<string>();
  for (const plugin of plugins) {
    if (names.has(plugin.name)) throw new Error(`Two plugins are called "${plugin.name}".`);
    names.add(plugin.name);
    definitions.push(...plugin.resources);
    for (const [name, query] of Object.entries(plugin.queries ?? {})) {
      queries.set(`${plugin.name}.${name}`, query);
    }
    for (const [name, action] of Object.entries(plugin.actions ?? {})) {
      actions.set(`${plugin.name}.${name}`, action);
    }
  }
  const byType = new Map<string, CompiledResource>();
  for (const definition of definitions) {
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(definition.type)) {
      throw new Error(`Resource type "${definition.type}" must be lower snake_case.`);
    }
    if (byType.has(definition.type))
      throw new Error(`Two resources are called "${definition.type}".`);
    byType.set(definition.type, compileResource(definition));
  }
  for (const [name, query] of queries) {
    if (query.returns !== null && !byType.has(query.returns as string)) {
      throw new Error(
        `Query "${name}" returns "${String(query.returns)}", which is not registered.`,
      );
    }
  }
  const resources = inDependencyOrder([...byType.values()]);
  return {
    plugins,
    resources,
    queries,
    actions,
    find: (type) => byType.get(type),
    resource: (type) => {
      const resource = byType.get(type);
      if (resource === undefined || resource.domain === "state") {
        throw new SyncError(
          "unknown_resource_type",
          { resourceType: type },
          {
            detail: `No resource type "${type}"; this service knows ${[...byType.keys()].join(", ")}.`,
          },
        );
      }
      return resource;
    },
    hash: fingerprint(resources),
  };
}
