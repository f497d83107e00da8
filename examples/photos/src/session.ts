/**
 * The token comes in the fragment of the link that `npm run dev` prints. A fragment never reaches a
 * server or its logs; it is taken out of the address at once and kept for this browser.
 *
 * @module
 */
const tokenKey = "syncline.token";
const libraryKey = "syncline.library";
const librariesKey = "syncline.libraries";

export interface LibrarySummary {
  readonly id: string;
  readonly name: string;
}

export function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return localStorage.getItem(tokenKey);
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search);
  return given;
}

export function keepToken(token: string): void {
  localStorage.setItem(tokenKey, token.trim());
}

export function forgetToken(): void {
  for (const key of [tokenKey, librariesKey]) localStorage.removeItem(key);
}

/** The libraries that this browser knew last, so that it can open them without the service. */
export function knownLibraries(): readonly LibrarySummary[] | null {
  return JSON.parse(localStorage.getItem(librariesKey) ?? "null") as LibrarySummary[] | null;
}

export function keepLibraries(libraries: readonly LibrarySummary[]): void {
  localStorage.setItem(librariesKey, JSON.stringify(libraries));
}

export const lastLibrary = (): string | null => localStorage.getItem(libraryKey);
export const keepLibrary = (id: string): void => localStorage.setItem(libraryKey, id);

/**
 * Which device this window is. Windows of one device share what they hold and one connection; another
 * `?device=` in the address is a device of its own, to be cut off alone.
 */
export const device = (): string => new URLSearchParams(location.search).get("device") ?? "1";

export function otherDevice(): string {
  const address = new URL(location.href);
  address.searchParams.set("device", String(Number(device()) + 1));
  return address.href;
}

/** What the service answered instead. */
export interface Refusal extends Error {
  readonly status: number;
}

/** A request with the token. Throws with the sentence that the service answers. */
export async function request(
  token: string,
  path: string,
  init: { readonly method?: string; readonly body?: string; readonly type?: string } = {},
): Promise<unknown> {
  const response = await fetch(path, {
    method: init.method ?? (init.body === undefined ? "GET" : "POST"),
    headers: {
      authorization: `Bearer ${token}`,
      ...(init.body === undefined ? {} : { "content-type": init.type ?? "application/json" }),
    },
    ...(init.body === undefined ? {} : { body: init.body }),
  });
  const answer = (await response.json()) as { detail?: string };
  if (!response.ok) {
    const { status, statusText } = response;
    throw Object.assign(new Error(answer.detail ?? statusText), { status }) satisfies Refusal;
  }
  return answer;
}

export async function listLibraries(token: string): Promise<readonly LibrarySummary[]> {
  const { libraries } = (await request(token, "/v1/libraries")) as {
    libraries: readonly LibrarySummary[];
  };
  return libraries;
}
