/**
 * Pages that may not have what tabs share: a sandboxed frame, a browser that denies storage. Such a tab
 * is alone, and works.
 */
import { expect, test } from "bun:test";
import { createId } from "../../src/base/id.ts";
import { createTabs, openTabs } from "../../src/client/tabs.ts";
import { createClientWorld, until } from "../support/client-world.ts";

const refusal = new DOMException("The operation is insecure.", "SecurityError");

test("a tab whose browser denies locks leads, and can be signed out of", async () => {
  await using world = await createClientWorld();
  const locks = { request: () => Promise.reject(refusal) };
  const client = world.open({ tabs: createTabs(createId(), { locks, BroadcastChannel }) });
  await client.insert("album", { name: "Iceland" }).done;
  await until(client.status, ({ connection }) => connection === "live");
  await client.signOut();
  expect(client.status.getSnapshot().connection).toBe("closed");
});

function Denied() {
  throw refusal;
}

test.each([
  ["has no channels", undefined],
  ["denies channels", Denied],
])("a tab whose browser has locks and %s is alone", async (_, channel) => {
  const { BroadcastChannel: real } = globalThis;
  const locks = { request: () => new Promise<never>(() => {}) };
  const open = () => {
    Object.assign(globalThis, { BroadcastChannel: channel });
    Object.defineProperty(navigator, "locks", { value: locks, configurable: true });
    try {
      return openTabs(createId());
    } finally {
      Object.assign(globalThis, { BroadcastChannel: real });
      Reflect.deleteProperty(navigator, "locks");
    }
  };
  await using world = await createClientWorld();
  await world.open({ tabs: open() }).insert("album", { name: "Iceland" }).done;
  expect(await world.sequences()).toEqual([1]);
});

test("tabs are shared also by browsers that have locks and no Promise.withResolvers", () => {
  const kept = Object.getOwnPropertyDescriptor(Promise, "withResolvers") ?? {};
  const locks = { request: () => new Promise<never>(() => {}) };
  Reflect.deleteProperty(Promise, "withResolvers");
  try {
    expect(() => createTabs(createId(), { locks, BroadcastChannel }).close()).not.toThrow();
  } finally {
    Object.defineProperty(Promise, "withResolvers", kept);
  }
});
