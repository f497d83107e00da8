/**
 * Processes of the benchmark that answer calls. Servers, raw bounds and load clients each live in
 * their own, so that none borrows another's event loop.
 *
 * @module
 */
type Calls = Record<string, (input: never) => Promise<unknown>>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Answers the parent's calls until the parent goes away. */
export function answerCalls(calls: Calls): void {
  process.on("message", (call: Call) => {
    void answer(calls, call);
  });
  process.on("disconnect", () => process.exit(0));
}

async function answer(calls: Calls, { id, name, input }: Call): Promise<void> {
  try {
    const run = calls[name];
    if (run === undefined) throw new Error(`no call named ${name}`);
    process.send?.({ id, value: await run(input as never) });
  } catch (error) {
    process.send?.({
      id,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
}

export interface Child<Of extends Calls> extends AsyncDisposable {
  readonly pid: number;
  /** @throws what the call threw, or when it takes longer than `CALL_MS`. */
  call<Name extends keyof Of & string>(
    name: Name,
    input: Parameters<Of[Name]>[0],
  ): Promise<Awaited<ReturnType<Of[Name]>>>;
}

const CALL_MS = 180_000;

/** Starts `file` of this folder under Bun; disposing ends that process and waits for it. */
export function openChild<Of extends Calls>(file: string): Child<Of> {
  const waiting = new Map<number, (answer: Answer) => void>();
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/${file}`], {
    stdio: ["ignore", "inherit", "inherit"],
    serialization: "json",
    ipc: (message: Answer) => waiting.get(message.id)?.(message),
    onExit: (_, code, signal) => {
      for (const [id, settle] of waiting) settle({ id, error: `${file} ended: ${code ?? signal}` });
    },
  });
  let lastId = 0;
  return {
    pid: child.pid,
    call: (name, input) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        const id = lastId;
        const settle = ({ value, error }: Answer): void => {
          clearTimeout(timer);
          waiting.delete(id);
          if (error === undefined) resolve(value as never);
          else reject(new Error(`${file} ${name}: ${error}`));
        };
        const timer = setTimeout(() => settle({ id, error: "took too long" }), CALL_MS);
        waiting.set(id, settle);
        child.send({ id, name, input });
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
