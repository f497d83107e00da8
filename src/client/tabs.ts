import { createSignal } from "./signal.ts";
import { createTalk } from "./talk.ts";
import type { TabMessage, TalkParts } from "./talk.ts";

/** What tabs of one client have in common: one of them leads, and all hear each other. */
export interface Tabs {
  /** Calls back once this tab leads. */
  lead(onLead: () => void): void;
  /** To all other tabs, in order. */
  post(message: TabMessage): void;
  onMessage(listener: (message: TabMessage) => void): void;
  /** What is done with messages: `createTalk`, where there may be any. */
  talk(parts: TalkParts): (message: TabMessage) => void;
  /** Has all that are open now close, before any of them leads; resolves when they were told. Closes. */
  signOut(): Promise<void>;
  /** Gives the lead away, or the wish for it. */
  close(): void;
}

/** A client that is alone. */
export function createSoleTab(): Tabs {
  return {
    lead: (onLead) => queueMicrotask(onLead),
    post: () => {},
    onMessage: () => {},
    talk: () => () => {},
    signOut: async () => {},
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
 * holds it closes or crashes, so nobody needs to be told. That may be before a message arrives that was
 * posted earlier; so all share another lock, and who signs out leads until it is free.
 */
export function createTabs(name: string, { BroadcastChannel, locks }: TabsHost): Tabs {
  const lead = `syncline:${name}`;
  const open = `${lead}:open`;
  const channel = new BroadcastChannel(lead);
  let isClosed = false;
  // While this tab reads the disk the others go on: what it has read may be settled by then, or not its to send.
  const early: TabMessage[] = [];
  let hear = (message: TabMessage): void => void early.push(message);
  // Only clients of this origin speak on this channel.
  channel.addEventListener("message", ({ data }) => hear(data as TabMessage));
  const [left, leave] = createSignal();
  const hold = (lock: string, options: LockOptions, onHeld: () => Promise<void>): void => {
    locks
      .request(lock, options, onHeld)
      // It is taken away by who signs out. A browser that denies locks lets no tab share anything.
      .catch((error: Error) => (error.name === "AbortError" ? left : onHeld()))
      .catch(() => {});
  };
  const post = (message: TabMessage): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A channel has none.
    if (!isClosed) channel.postMessage(message);
  };
  const close = (): void => {
    isClosed = true;
    channel.close();
    leave();
  };
  return {
    lead: (onLead) => {
      hold(open, { mode: "shared" }, () => left);
      hold(lead, {}, () => {
        if (!isClosed) onLead();
        return left;
      });
    },
    post,
    onMessage: (listener) => {
      hear = listener;
      for (const message of early.splice(0)) listener(message);
    },
    talk: createTalk,
    signOut: () => {
      hold(lead, { steal: true }, () => {
        post({ kind: "signedOut" });
        close();
        return locks.request(open, {}, () => {});
      });
      return left;
    },
    close,
  };
}

/** Tabs where the browser has what they need, else none. */
export function openTabs(name: string): Tabs {
  try {
    const { locks } = navigator as Partial<Navigator>;
    if (locks !== undefined) return createTabs(name, { locks, BroadcastChannel });
  } catch {
    // One of them is denied to this page, or unknown to this runtime.
  }
  return createSoleTab();
}
