import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Codec } from "./codec.ts";
import type { Member } from "./member.ts";

export type GoodbyeReason = "shutdown" | "token_expired" | "revoked" | "max_age";

export interface SweepOptions {
  readonly codec: Codec;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly leave: (member: Member) => void;
}

/** Ends streams that are over, and keeps idle ones provably complete: one clock for all members. */
export interface Sweeper {
  /** Looks after one member at the time `now`; `head` goes into its heartbeat. */
  sweep(member: Member, at: { readonly now: number; readonly head: number }): void;
  end(member: Member, reason: GoodbyeReason, retryMs: number): void;
}

export function createSweeper({ codec, clock, limits, telemetry, leave }: SweepOptions): Sweeper {
  const end: Sweeper["end"] = (member, reason, retryMs) => {
    const { sink, format } = member.subscription;
    sink.write(codec.encodeControl("goodbye", { reason, retry_ms: retryMs }, { format }));
    leave(member);
    sink.close();
  };
  const beat = (member: Member, now: number, head: number): void => {
    const { sink, format, cursor, expiresAtMs } = member.subscription;
    // A cursor may be ahead of a hub that follows another node: then nothing is proven either.
    if (cursor !== head || sink.room() <= 0) return;
    const token_expires_in =
      expiresAtMs === null ? null : Math.max(0, Math.round((expiresAtMs - clock.now()) / 1_000));
    const timestamp = new Date(clock.now()).toISOString();
    sink.write(codec.encodeControl("heartbeat", { head, timestamp, token_expires_in }, { format }));
    member.sentAt = now;
    member.progressAt = now;
  };
  return {
    end,
    sweep: (member, { now, head }) => {
      const { expiresAtMs, isRevoked, sink } = member.subscription;
      const isStuck = sink.room() <= 0 && now - member.progressAt > limits.slowReaderMs;
      if (expiresAtMs !== null && clock.now() >= expiresAtMs) end(member, "token_expired", 0);
      else if (isRevoked()) end(member, "revoked", 0);
      else if (now - member.startedAt > limits.streamMaxAgeMs) end(member, "max_age", 1_000);
      else if (isStuck) {
        telemetry.count("slow_readers_closed");
        leave(member);
        sink.close();
      } else if (now - member.sentAt >= limits.heartbeatMs) beat(member, now, head);
    },
  };
}
