/** What is waited for, and what ends the waiting: `Promise.withResolvers`, which Node 20 lacks. */
export function createSignal(): readonly [Promise<void>, () => void] {
  let reach = () => {};
  const reached = new Promise<void>((resolve) => (reach = resolve));
  return [reached, reach];
}
