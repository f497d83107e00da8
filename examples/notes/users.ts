import type { Context } from "hono";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { timingSafeEqual } from "hono/utils/buffer";
import type { Host } from "syncline";

/** All who come in share it. Where each has one, keep its id beside the user's. */
const library = "0190a8d5-3f6e-7c1b-9d52-8a4f6e2b1c3d";
const user = { id: "somebody", library };
const cookie = { httpOnly: true, secure: true, sameSite: "Strict", maxAge: 30 * 86_400 } as const;

/** Who knows the password is a user, from then on by a cookie that another password ends. */
export function createUsers({ APP_PASSWORD: password = "" }: Host["env"]) {
  if (password.length < 12)
    throw new Error(
      "Set APP_PASSWORD, here or in .env, to 12 characters or more: who knows it comes in.",
    );
  return async (c: Context) => {
    if ((await getSignedCookie(c, password, "user")) === user.id) return user;
    const { password: given = "" } = await c.req.parseBody();
    if (!(await timingSafeEqual(given, password))) return null;
    await setSignedCookie(c, "user", user.id, password, cookie);
    return user;
  };
}
