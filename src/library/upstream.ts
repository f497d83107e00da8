import { SERVICE_WIDE } from "../auth/capability.ts";
import { HOP_HEADER, NODE_HEADER } from "../auth/node-credential.ts";
import type { NodeCredentials } from "../auth/node-credential.ts";
import type { Fetch } from "../follower/upstream.ts";
import type { OpenUpstream } from "../stream/relay.ts";

/** Opens streams at other nodes, as this node. Without a shared secret there is no way in. */
export function createUpstream(options: {
  readonly credentials: NodeCredentials | null;
  readonly fetch: Fetch;
  readonly deviceId: string;
}): OpenUpstream {
  const { credentials, deviceId } = options;
  return async ({ leaderUrl, libraryId, after, signal }) => {
    if (credentials === null) return null;
    const credential = await credentials.sign({
      tokenId: `node:${deviceId}`,
      subject: deviceId,
      grants: [{ library: SERVICE_WIDE, role: "reader" }],
      expiresAtMs: null,
      issuedAtMs: null,
    });
    const url = `${leaderUrl.replace(/\/$/, "")}/v1/libraries/${libraryId}/events?after=${after}`;
    const response = await options.fetch(url, {
      signal,
      headers: {
        accept: "application/vnd.syncline.events+msgpack",
        [NODE_HEADER]: credential,
        [HOP_HEADER]: deviceId,
      },
    });
    if (response.ok) return response.body;
    await response.body?.cancel();
    return null;
  };
}
