import type { Clock } from "./clock.ts";

/**
 * Passes a body on until it ends or sends nothing for `ms`: then nobody waits for it any longer. The
 * time that its reader takes does not count. @throws what `silence` answers
 */
export async function* untilSilent(
  body: ReadableStream<Uint8Array>,
  {
    ms,
    clock,
    silence,
  }: { readonly ms: number; readonly clock: Clock; readonly silence: () => Error },
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const next = async () => {
    const silent = Promise.withResolvers<never>();
    const stop = clock.every(ms, () => silent.reject(silence()));
    return Promise.race([reader.read(), silent.promise]).finally(stop);
  };
  try {
    for (let part = await next(); !part.done; part = await next()) yield part.value;
  } finally {
    // Not awaited: whoever is silent may not answer a cancellation either.
    void reader.cancel().catch(() => {});
  }
}
