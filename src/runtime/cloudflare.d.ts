/** As much of Cloudflare as this folder uses; its own types would clash with those of Bun. */
declare module "cloudflare:workers" {
  export abstract class DurableObject<Env> {
    constructor(ctx: DurableObjectState, env: Env);
    protected readonly ctx: DurableObjectState;
    protected readonly env: Env;
  }
}

interface DurableObjectState {
  readonly id: DurableObjectId;
  abort(reason: string): void;
  readonly storage: {
    get(key: string): Promise<string | undefined>;
    put(key: string, value: string): Promise<void>;
    deleteAll(): Promise<void>;
    setAlarm(timeMs: number): Promise<void>;
    deleteAlarm(): Promise<void>;
  };
}

interface DurableObjectId {
  toString(): string;
}

interface DurableObjectNamespace {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId): { fetch(request: Request): Promise<Response> };
}
