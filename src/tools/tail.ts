import { EventSourceParserStream } from "eventsource-parser/stream";
import type { WireEvent } from "../stream/event.ts";
import { chooseLibrary } from "./libraries.ts";
import type { Connection } from "./libraries.ts";

/** One event as a line for people. */
export function formatEvent({ envelope, kind }: WireEvent): string {
  const { sequence = 0, span = 1 } = envelope;
  const place = span > 1 ? `${sequence - span + 1}–${sequence}` : String(sequence || "");
  const { data } = kind;
  const resource = data["resource"] as { id: string; name?: string } | null | undefined;
  const facts: Record<string, string> = {
    ResourceChanged: `${resource?.id ?? String(data["resource_id"])} ${resource?.name ?? ""}`,
    ResourceDeleted: String(data["resource_id"]),
    ResourceBatchChanged: `${(data["resources"] as unknown[] | undefined)?.length ?? 0} changed, ${
      (data["deleted_ids"] as unknown[] | undefined)?.length ?? 0
    } deleted (${String(data["operation"])})`,
    BulkOperationCompleted: `${String(data["affected_count"])} records, ${String(data["mode"])}, token ${String(
      data["operation_token"],
    )}${data["interrupted"] === true ? ", interrupted" : ""}`,
  };
  const type = String(data["resource_type"] ?? "");
  const time = envelope.timestamp.slice(11, 23);
  return `${time}  ${place.padEnd(12)} ${kind.type.padEnd(24)} ${type.padEnd(14)} ${facts[kind.type] ?? JSON.stringify(data)}`.trimEnd();
}

/** Follows a library's events until `count` were seen; comes back where it stopped when the line breaks. */
export async function tail(
  connection: Connection,
  options: { readonly library?: string; readonly after?: string; readonly count?: string },
): Promise<void> {
  const library = await chooseLibrary(connection, options.library);
  let cursor = options.after;
  let left = options.count === undefined ? Infinity : Number(options.count);
  for (let delayMs = 250; left > 0; delayMs = Math.min(delayMs * 2, 10_000)) {
    try {
      const after = cursor === undefined ? "" : `&after=${cursor}`;
      const response = await fetch(
        `${connection.url}/v1/libraries/${library}/events?encoding=json${after}`,
        { headers: { authorization: `Bearer ${connection.token}`, accept: "text/event-stream" } },
      );
      if (response.body === null || !response.ok) throw new Error(await response.text());
      const events = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream());
      for await (const { event, id, data } of events) {
        delayMs = 250;
        if (id !== undefined && id !== "") cursor = id;
        if (event === "reset") console.log(`reset: ${data}`);
        if (["hello", "heartbeat", "reset", "goodbye"].includes(event ?? "")) continue;
        console.log(formatEvent(JSON.parse(data) as WireEvent));
        left -= 1;
        if (left <= 0) return;
      }
    } catch (error) {
      console.error(error instanceof Error ? error.message : String(error));
    }
    console.error(`The stream ended; back in ${delayMs} ms.`);
    await Bun.sleep(delayMs * (0.5 + Math.random() / 2));
  }
}
