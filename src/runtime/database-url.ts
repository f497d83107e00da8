/** Where the database of a name lies. */
export type UrlOf = (name: string) => string;

const scheme = /^(file|https?|wss?|libsql):/;

/** A placeholder that was mistyped would put every library into one database. */
const isTemplate = (value: unknown): boolean =>
  typeof value === "string" &&
  scheme.test(value) &&
  !/[{}]/.test(value.replaceAll("{database}", ""));

function parseMap(text: string): Readonly<Record<string, string>> | null {
  try {
    const map: unknown = JSON.parse(text);
    if (typeof map !== "object" || map === null || Array.isArray(map)) return null;
    return Object.values(map).every(isTemplate) ? (map as Record<string, string>) : null;
  } catch {
    return null;
  }
}

/** The same without the token that a libSQL URL may carry, for logs and sentences. */
export const withoutToken = (text: string): string => text.replaceAll(/(authToken=)[^&"]*/g, "$1…");

/** Tells a URL, a URL template with `{database}`, or a JSON map of name to URL from anything else. */
export function isDatabaseUrl(text: string): boolean {
  return text.startsWith('{"') ? parseMap(text) !== null : isTemplate(text);
}

/** Reads `DATABASE_URL`. A name that a map does not have goes to its `*`, if it has one. */
export function readDatabaseUrl(text: string): UrlOf {
  const map = text.startsWith('{"') ? parseMap(text) : null;
  return (name) => {
    const template = map === null ? text : (map[name] ?? map["*"]);
    if (template === undefined) throw new Error(`DATABASE_URL has no entry for "${name}".`);
    return template.replaceAll("{database}", name);
  };
}

/** Creates and drops the namespaces of a self-hosted sqld, which knows none by itself. */
export interface Namespaces {
  create(name: string): Promise<void>;
  drop(name: string): Promise<void>;
}

export function createNamespaces(options: {
  readonly adminUrl: string;
  readonly fetch: typeof globalThis.fetch;
}): Namespaces {
  // Called without its object: a Worker's fetch insists on that.
  const { fetch, adminUrl } = options;
  const call = async (method: string, path: string): Promise<Response> =>
    fetch(new URL(`v1/namespaces/${path}`, adminUrl), {
      method,
      headers: { "content-type": "application/json" },
      ...(method === "POST" ? { body: "{}" } : {}),
    });
  return {
    create: async (name) => {
      const response = await call("POST", `${name}/create`);
      const text = await response.text();
      if (response.ok || /already exists/i.test(text)) return;
      throw new Error(`The namespace ${name} could not be created: ${response.status} ${text}`);
    },
    drop: async (name) => {
      const response = await call("DELETE", name);
      await response.body?.cancel();
      if (response.ok || response.status === 404) return;
      throw new Error(`The namespace ${name} could not be dropped: ${response.status}`);
    },
  };
}
