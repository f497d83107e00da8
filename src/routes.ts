import type { TokenRequest } from "./auth/token.ts";

/** What the routes of an application may ask of the service that they stand beside. */
export interface Host {
  /** Signs a token for a user. @throws Error where there is no secret: another issuer's tokens count then */
  readonly mint: (token: TokenRequest) => Promise<string>;
  /**
   * Asks any route of the service, as an owner of all of it: `ask("/v1/libraries")`. A body is JSON.
   * @throws Error as `mint`
   */
  readonly ask: (
    path: string,
    init?: { readonly method?: string; readonly body?: string },
  ) => Promise<Response>;
  /** The settings of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Answers requests; null for what is none of its business. A Hono application is one. */
export interface Answering {
  fetch(request: Request): Response | null | Promise<Response | null>;
}

/**
 * What an application answers beside the service, in the same process: its sign-in, its pages. It is asked
 * for what the service has no route for; `/v1/` is the service's own.
 */
export type Routes = (host: Host) => Answering;
