/**
 * The Worker as it is deployed, but sooner tired, and with two doors into an object that Cloudflare
 * has not: one lets it die, the other shows its own figures.
 */
import worker, { LibraryObject as Deployed } from "../../src/runtime/worker.ts";

export class LibraryObject extends Deployed {
  protected override readonly limits = { libraryIdleMs: 2_000 };

  override fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.endsWith("/inside/abort")) this.ctx.abort("The test ends this object.");
    if (!url.pathname.endsWith("/inside/metrics")) return super.fetch(request);
    return super.fetch(new Request(new URL("/metrics", url), request));
  }
}

export default worker;
