import type { CompiledResource } from "../resource/compile.ts";
import type { Database } from "../store/database.ts";

/** Writes fields that never travel. Throws for a synced field. */
export async function writeSilently(
  database: Database,
  target: { resource: CompiledResource; id: string; fields: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { resource, id, fields } = target;
  const names = Object.keys(fields);
  const synced = new Set(resource.synced.map((column) => column.name));
  for (const name of names) {
    const isLocal = resource.domain === "state" || !synced.has(name);
    if (!isLocal || !resource.columns.some((column) => column.name === name)) {
      throw new Error(`commitSilent: "${resource.type}.${name}" is not a local field; use commit.`);
    }
  }
  const sets = names.map((name) => `"${name}" = ?`).join(", ");
  await database.write([
    {
      sql: `UPDATE "${resource.tableName}" SET ${sets} WHERE "id" = ?`,
      args: [...names.map((name) => fields[name] as string | number | null), id],
    },
  ]);
}
