import { expect, test } from "bun:test";
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import { allowedTypes, allows } from "../../src/auth/capability.ts";
import { createRateLimiter } from "../../src/auth/rate-limit.ts";
import { createTickets } from "../../src/auth/tickets.ts";
import { createTokenVerifier, mintToken } from "../../src/auth/token.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createId } from "../../src/base/id.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { createWorld } from "../support/world.ts";

const secret = "a secret of more than sixteen characters";
const key = new TextEncoder().encode(secret);
const grants = [{ library: "*", role: "owner" }];
const base = { clock: systemClock, limits: defaultLimits, isRevoked: () => false };

async function reasonOf(verifying: Promise<unknown>): Promise<unknown> {
  return verifying.then(
    () => "accepted",
    (error: { facts?: { reason?: string } }) => error.facts?.reason,
  );
}

test("tokens that are forged, expired, early or without sense are refused, and say why", async () => {
  const verifier = createTokenVerifier({ ...base, secret });
  const sign = (claims: Record<string, unknown>, signingKey = key) =>
    new SignJWT({ sub: "me", ...claims }).setProtectedHeader({ alg: "HS256" }).sign(signingKey);
  const now = Math.floor(Date.now() / 1_000);
  const cases: [string, string, string][] = [
    ["good", await sign({ grants, exp: now + 60 }), "accepted"],
    ["expired", await sign({ grants, exp: now - 60 }), "expired"],
    ["early", await sign({ grants, nbf: now + 3_600 }), "bad_claims"],
    [
      "forged",
      await sign({ grants }, new TextEncoder().encode("another secret of some length!")),
      "bad_signature",
    ],
    ["unsigned", new UnsecuredJWT({ sub: "me", grants }).encode(), "bad_signature"],
    ["no grants", await sign({}), "bad_claims"],
    ["unknown role", await sign({ grants: [{ library: "*", role: "king" }] }), "bad_claims"],
    ["not a token", "a.b", "malformed"],
  ];
  for (const [name, token, expected] of cases) {
    const reason = await reasonOf(verifier.verify(token));
    const isRefused =
      expected !== "accepted" && reason !== "accepted" && typeof reason === "string";
    expect(`${name}: ${isRefused ? "refused" : String(reason)}`).toBe(
      `${name}: ${expected === "accepted" ? "accepted" : "refused"}`,
    );
  }
});

test("a key server that is away is told of once, not at every request", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
  const jwksUrl = `http://127.0.0.1:${server.port}/`;
  await server.stop(true);
  const told: unknown[] = [];
  const onKeysAway = (error: unknown) => void told.push(error);
  const verifier = createTokenVerifier({ ...base, jwksUrl, onKeysAway });
  const { privateKey } = await generateKeyPair("ES256");
  const token = await new SignJWT({ sub: "me", grants })
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .sign(privateKey);
  for (let asked = 0; asked < 3; asked += 1)
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: "overloaded" });
  expect(told).toHaveLength(1);
});

test("a public key of the key set signs nothing as a shared secret", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ keys: [jwk] }),
  });
  const verifier = createTokenVerifier({ ...base, jwksUrl: `http://127.0.0.1:${server.port}/` });
  const claims = { sub: "me", grants };
  const good = await new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .sign(privateKey);
  expect((await verifier.verify(good)).subject).toBe("me");
  const confused = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", kid: "one" })
    .sign(new TextEncoder().encode(await exportSPKI(publicKey)));
  expect(await reasonOf(verifier.verify(confused))).not.toBe("accepted");
  await server.stop(true);
});

test("grants add up, and types narrow them", () => {
  const library = createId();
  const capability = {
    tokenId: "t",
    subject: "s",
    expiresAtMs: null,
    issuedAtMs: null,
    grants: [
      { library, role: "reader" as const },
      { library, role: "writer" as const, types: ["tag"] },
    ],
  };
  expect(allows(capability, { library, role: "writer", type: "tag" })).toBe(true);
  expect(allows(capability, { library, role: "writer", type: "album" })).toBe(false);
  expect(allows(capability, { library, role: "reader", type: "album" })).toBe(true);
  expect(allows(capability, { library: createId(), role: "reader" })).toBe(false);
  expect(allowedTypes(capability, library)).toBeNull();
});

test("a stream ticket works once, in its library only", async () => {
  const tickets = createTickets({ clock: systemClock, limits: defaultLimits });
  const token = await mintToken({
    secret,
    subject: "me",
    grants: [{ library: "*", role: "owner" }],
    ttlSeconds: 60,
    clock: systemClock,
  });
  const capability = await createTokenVerifier({ ...base, secret }).verify(token);
  const library = createId();
  const other = tickets.issue({ capability, library });
  expect(tickets.redeem(other.ticket, createId())).toBeNull();
  const { ticket, expiresIn } = tickets.issue({ capability, library });
  expect(expiresIn).toBe(60);
  expect(tickets.redeem(ticket, library)?.grants).toMatchObject([{ library, role: "reader" }]);
  expect(tickets.redeem(ticket, library)).toBeNull();
});

test("a token that asks too often is told how long to wait", () => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  const limiter = createRateLimiter({ clock, limits: { requestsPerSecond: 2, requestBurst: 3 } });
  expect([1, 2, 3].map(() => limiter.take("a"))).toEqual([0, 0, 0]);
  expect(limiter.take("a")).toBeGreaterThan(0);
  expect(limiter.take("b")).toBe(0);
  nowMs += 1_000;
  expect([1, 2].map(() => limiter.take("a"))).toEqual([0, 0]);
});

test("a revoked token is out at once, and its stream ends", async () => {
  await using world = await createWorld();
  const ticket = await world.send("POST", `${world.at}/stream-tickets`, {});
  expect(ticket.status).toBe(200);
  const stream = await world.app.request(
    `${world.at}/events?encoding=json&ticket=${ticket.body.ticket}`,
  );
  const text = stream.text();
  expect(
    (await world.send("POST", "/v1/revocations", { kind: "token", value: world.token })).status,
  ).toBe(204);
  expect((await world.send("GET", world.at)).body).toMatchObject({
    code: "unauthorized",
    reason: "revoked",
  });
  expect(await text).toContain('"reason":"revoked"');
});
