import { createTalk } from "./talk.ts";
import type { TabMessage, TalkParts } from "./talk.ts";

/** What tabs of one client have in common: one of them leads, and all hear each other. */
export interface Tabs {
  /** Calls back once this tab leads; the returned function gives the lead away, or the wish for it. */
  lead(onLead: () => void): () => void;
  /** To all other tabs, in order. */
  post(message: TabMessage): void;
  onMessage(listener: (message: TabMessage) => void): void;
  /** What is done with messages: `createTalk`, where there may be any. */
  talk(parts: TalkParts): (message: TabMessage) => void;
  close(): void;
}

/** A client that is alone. */
export function createSoleTab(): Tabs {
  return {
    lead: (onLead) => {
      let isWanted = true;
      queueMicrotask(() => {
        if (isWanted) onLead();
      });
      return () => {
        isWanted = false;
      };
    },
    post: () => {},
    onMessage: () => {},
    talk: () => () => {},
    close: () => {},
  };
}

/** The part of the browser that tabs need; tests bring their own. */
export interface TabsHost {
  readonly locks: Pick<LockManager, "request">;
  readonly BroadcastChannel: typeof BroadcastChannel;
}

/**
 * Tabs of one browser. The lead is a Web Lock: the browser gives it to the next tab when the one that
 * holds it closes or crashes, so nobody needs to be told.
 */
export function createTabs(name: string, host: TabsHost): Tabs {
  const channel = new host.BroadcastChannel(`syncline:${name}`);
  let isClosed = false;
  return {
    lead: (onLead) => {
      const wish = new AbortController();
      host.locks
        .request(`syncline:${name}`, { signal: wish.signal }, () => {
          onLead();
          return new Promise<void>((resolve) => {
            wish.signal.addEventListener("abort", () => resolve());
          });
        })
        // An aborted wish rejects; that is what was asked for.
        .catch(() => {});
      return () => wish.abort();
    },
    post: (message) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A channel has none.
      if (!isClosed) channel.postMessage(message);
    },
    onMessage: (listener) => {
      // Only clients of this origin speak on this channel.
      channel.addEventListener("message", ({ data }) => listener(data as TabMessage));
    },
    talk: createTalk,
    close: () => {
      isClosed = true;
      channel.close();
    },
  };
}

/** Tabs where the browser has what they need, else none. */
export function openTabs(name: string): Tabs {
  const { locks } = (globalThis as { navigator?: { locks?: LockManager } }).navigator ?? {};
  if (locks === undefined || typeof BroadcastChannel === "undefined") return createSoleTab();
  return createTabs(name, { locks, BroadcastChannel });
}
