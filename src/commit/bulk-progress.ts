import type { Clock } from "../base/clock.ts";

export interface ProgressOptions {
  readonly clock: Clock;
  /** Tells listeners something that is not in the log. */
  readonly announce: (type: string, data: Readonly<Record<string, unknown>>) => void;
}

const EVERY_MS = 1_000;

/**
 * `Job` events of a bulk that takes more than one chunk: at the first, then once a second, and at its
 * end. How much is still to come nobody knows while the body streams, so `progress` is null until then.
 */
export function createBulkProgress(
  { announce, clock }: ProgressOptions,
  operation: { readonly token: string; readonly state: string; readonly receivedCount: number },
) {
  let toldAt: number | null = null;
  const tell = (): void => {
    const { token, state, receivedCount } = operation;
    announce("Job", {
      job_id: token,
      name: "bulk",
      status: state,
      progress: state === "complete" ? 1 : null,
      message: `${receivedCount} records`,
    });
  };
  return {
    moved: (): void => {
      const now = clock.monotonic();
      if (toldAt !== null && now - toldAt < EVERY_MS) return;
      toldAt = now;
      tell();
    },
    ended: (): void => (toldAt === null ? undefined : tell()),
  };
}
