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
  /** Whether a type comes after another, be it by way of others. */
  const needs = (type: string, other: string, seen = new Set<string>()): boolean => {
    if (type === other) return true;
    if (seen.has(type)) return false;
    seen.add(type);
    const { after = [] } = byType.get(type)?.definition.sync ?? {};
    return after.some((name) => needs(name, other, seen));
  };
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
      // The reference that closes the circle is filled in second, so it asks for no order.
      const isBroken =
        resource.definition.sync.breakCycle !== undefined && needs(name, resource.type);
      if (name !== resource.type && !isBroken) visit(needed, [...path, resource.type]);
    }
    done.add(resource.type);
    ordered.push(resource);
  };
  for (const resource of resources) visit(resource, []);
  return ordered;
}
