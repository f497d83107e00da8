/**
 * How long to wait before attempt number `attempt` (from 0) is repeated: a random part of a span that
 * doubles up to 30 s, so that many that lost one service do not come back in step.
 */
export function backoffMs(attempt: number, random: number): number {
  const spanMs = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(spanMs * (0.5 + random / 2));
}
