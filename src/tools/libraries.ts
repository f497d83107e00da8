/** A service and the right to use it. */
export interface Connection {
  readonly url: string;
  readonly token: string;
}

export interface ListedLibrary {
  readonly id: string;
  readonly name: string;
  readonly head: number;
}

/** Sends a request; a problem becomes an error that a person can act on. */
export async function request<Answer>(
  { url, token }: Connection,
  path: string,
  init: RequestInit = {},
): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(url + path, { ...init, headers }).catch((cause: unknown) => {
    throw new Error(`No service answers at ${url}; start one with "syncline dev".`, { cause });
  });
  if (response.ok) return (await response.json()) as Answer;
  const problem = (await response.json().catch(() => ({}))) as { detail?: string; code?: string };
  const code = problem.code ?? String(response.status);
  throw new Error(`${problem.detail ?? "The service refused"} (${code})`);
}

/** Creates a library and answers its id. */
export async function createLibrary(connection: Connection, name: string): Promise<string> {
  const body = JSON.stringify({ name });
  const created = await request<ListedLibrary>(connection, "/v1/libraries", {
    method: "POST",
    body,
  });
  return created.id;
}

export async function listLibraries(connection: Connection): Promise<readonly ListedLibrary[]> {
  const all: ListedLibrary[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: { libraries: ListedLibrary[]; next_cursor: string | null } = await request(
      connection,
      `/v1/libraries?limit=1000&after=${cursor}`,
    );
    all.push(...page.libraries);
    cursor = page.next_cursor;
  }
  return all;
}

/** The library that is named, or the only one there is. @throws Error that says what to do */
export async function chooseLibrary(connection: Connection, id?: string): Promise<string> {
  if (id !== undefined) return id;
  const [first, ...more] = await listLibraries(connection);
  if (first === undefined) {
    throw new Error('There is no library; make one with "syncline library create NAME".');
  }
  if (more.length === 0) return first.id;
  const names = [first, ...more].map((one) => `  ${one.id}  ${one.name}`).join("\n");
  throw new Error(`There are several libraries; name one with --library:\n${names}`);
}
