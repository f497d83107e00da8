import type { Hono } from "hono";
import { SERVICE_WIDE } from "../auth/capability.ts";
import type { Host, Routes } from "../routes.ts";
import type { Service } from "../service.ts";
import type { AppEnv } from "./context.ts";

/** As whom an application asks. */
const owner = {
  subject: "application",
  grants: [{ library: SERVICE_WIDE, role: "owner" }],
  ttlSeconds: 60,
} as const;

/** @throws Error where the service cannot sign */
function mintOf({ mint }: Service): NonNullable<Service["mint"]> {
  if (mint !== null) return mint;
  throw new Error("Set SYNCLINE_SECRET: without it only the issuer of SYNCLINE_JWKS_URL can sign.");
}

/** Lets an application answer what the service has no route for. */
export function addRoutes(
  app: Hono<AppEnv>,
  routes: Routes,
  { service, env }: { readonly service: Service } & Pick<Host, "env">,
): void {
  const beside = routes({
    env,
    mint: async (token) => mintOf(service)(token),
    ask: async (path, init) => {
      const token = await mintOf(service)(owner);
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      return app.request(path, { ...init, headers });
    },
  });
  app.all("*", async (c, next) => {
    if (c.req.path.startsWith("/v1/")) return next();
    const answer = await beside.fetch(c.req.raw);
    // What the application has fetched elsewhere has headers that nobody may change.
    return answer === null ? next() : new Response(answer.body, answer);
  });
}
