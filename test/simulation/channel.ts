import type { TabsHost } from "../../src/client/tabs.ts";
import type { Clock } from "../../src/base/clock.ts";

type Listener = (event: { readonly data: unknown }) => void;

/** The channel between the tabs of one browser, whose messages arrive when the simulation says so. */
export function createChannel(clock: Clock): TabsHost["BroadcastChannel"] {
  const members = new Set<Channel>();
  class Channel {
    readonly listeners: Listener[] = [];
    constructor() {
      members.add(this);
    }
    addEventListener(_type: "message", listener: Listener): void {
      this.listeners.push(listener);
    }
    postMessage(message: unknown): void {
      const data: unknown = structuredClone(message);
      for (const member of members) {
        if (member === this) continue;
        clock.defer(() => {
          if (members.has(member)) for (const listener of member.listeners) listener({ data });
        });
      }
    }
    close(): void {
      members.delete(this);
    }
  }
  return Channel as unknown as TabsHost["BroadcastChannel"];
}
