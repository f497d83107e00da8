/**
 * The token comes in the fragment of the link that `npm run dev` prints. A fragment never reaches a
 * server or its logs; it is taken out of the address at once and kept for this browser.
 *
 * @module
 */
const tokenKey = "syncline.token";
const libraryKey = "syncline.library";

export interface LibrarySummary {
  readonly id: string;
  readonly name: string;
}

export function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return localStorage.getItem(tokenKey);
  keepToken(given);
  history.replaceState(null, "", location.pathname);
  return given;
}

export function keepToken(token: string): void {
  localStorage.setItem(tokenKey, token.trim());
}

export function forgetToken(): void {
  localStorage.removeItem(tokenKey);
}

export const lastLibrary = (): string | null => localStorage.getItem(libraryKey);
export const keepLibrary = (id: string): void => localStorage.setItem(libraryKey, id);

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
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

export async function listLibraries(token: string): Promise<readonly LibrarySummary[]> {
  const { libraries } = (await request(token, "/v1/libraries")) as {
    libraries: readonly LibrarySummary[];
  };
  return libraries;
}
