import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { serveStatic } from "hono/bun";
import type { Routes } from "syncline";
import { createUsers } from "./users.ts";

/** What stands beside the service: sessions, and the page that Vite built. */
export const routes: Routes = ({ ask, mint, env }) => {
  const userOf = createUsers(env);
  return new Hono()
    .post("/session", bodyLimit({ maxSize: 10_000 }), async (c) => {
      const user = await userOf(c);
      if (user === null) return c.text("Sign in first.", 401);
      const { id, library } = user;
      // Refused as `already_exists` where it is there.
      await ask("/v1/libraries", {
        method: "POST",
        body: JSON.stringify({ id: library, name: id }),
      });
      const grants = [{ library, role: "writer" }] as const;
      return c.json({ library, token: await mint({ subject: id, grants, ttlSeconds: 900 }) });
    })
    .use(serveStatic({ root: "dist" }))
    .get("/", (c) => c.text("`npm run build` makes the page.", 404));
};
