import type { CompiledResource } from "./compile.ts";

/**
 * Sorts resources so that each comes after what it names in `after`; equal ones keep their order.
 * A cycle is allowed where a resource breaks it by a nullable reference.
 *
 * @throws Error naming the unknown type or the cycle
 */
export function inDependencyOrder(resources: readonly CompiledResource[]): CompiledResource[] {
  const byType = new Map(resources.map((resource) => [resource.type, resource]));
  const ordered: CompiledResource[] = [];
  const done = new Set<string>();
  const visit = (resource: CompiledResource, path: readonly string[]): void => {
    if (done.has(resource.type)) return;
    if (path.includes(resource.type)) {
      throw new Error(
        `Resources depend on each other in a circle: ${[...path, resource.type].join(" → ")}. ` +
          `Name a nullable reference of one of them in sync.breakCycle.`,
      );
    }
    for (const name of resource.definition.sync.after ?? []) {
      const needed = byType.get(name);
      if (needed === undefined) {
        throw new Error(
          `Resource "${resource.type}" comes after "${name}", which is not registered.`,
        );
      }
      const isBroken = resource.definition.sync.breakCycle !== undefined && path.includes(name);
      if (name !== resource.type && !isBroken) visit(needed, [...path, resource.type]);
    }
    done.add(resource.type);
    ordered.push(resource);
  };
  for (const resource of resources) visit(resource, []);
  return ordered;
}
