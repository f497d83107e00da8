import type { Format } from "./codec.ts";

/** Where a subscriber's bytes go. `room` is how many more it may be handed now. */
export interface Sink {
  room(): number;
  write(bytes: Uint8Array): void;
  close(): void;
}

export interface Subscription {
  readonly format: Format;
  /** The last sequence the subscriber has. */
  cursor: number;
  /** Only events of these types; null for all. */
  readonly types: ReadonlySet<string> | null;
  readonly expiresAtMs: number | null;
  readonly isRevoked: () => boolean;
  /** Called once, however the subscription ends. */
  readonly onLeft?: () => void;
  readonly sink: Sink;
}

/** What the owner of a connection tells the hub. */
export interface Subscriber {
  /** The reader has taken something: hand over more. */
  pump(): void;
  /** Gone: forget it. */
  leave(): void;
}
