/**
 * An HTTP client over raw sockets that does as little as HTTP allows, so that in every comparison
 * the server is what is slow.
 *
 * @module
 */
import type { Socket } from "bun";

export interface Target {
  readonly port: number;
  readonly token: string;
  readonly library: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** One keep-alive connection that carries one request at a time. */
export interface Connection {
  send(request: Uint8Array): Promise<HttpAnswer>;
  /** Sends a request in pieces, no faster than the server takes them; null ends it. */
  stream(next: () => Uint8Array | null): Promise<HttpAnswer>;
  close(): void;
}

export function encodeHead(target: Target, line: string, headers: readonly string[]): string {
  return [
    `${line} HTTP/1.1`,
    `Host: 127.0.0.1:${target.port}`,
    `Authorization: Bearer ${target.token}`,
    ...headers,
    "\r\n",
  ].join("\r\n");
}

export function encodePost(target: Target, path: string, body: string): Buffer {
  const length = Buffer.byteLength(body);
  const headers = ["Content-Type: application/json", `Content-Length: ${length}`];
  return Buffer.from(encodeHead(target, `POST ${path}`, headers) + body);
}

const HEAD_END = Buffer.from("\r\n\r\n");
const CHUNKS_END = Buffer.from("0\r\n\r\n");

/** The answer in `bytes`, or null while a part of it is missing. */
function parseAnswer(bytes: Buffer): HttpAnswer | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const body = bytes.subarray(headEnd + HEAD_END.length);
  const length = /content-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length) ? { status, body } : null;
  if (status === 204) return { status, body };
  return body.subarray(-CHUNKS_END.length).equals(CHUNKS_END) ? { status, body } : null;
}

export async function openConnection(port: number): Promise<Connection> {
  let received: Buffer | null = null;
  let unsent: Uint8Array | null = null;
  let next: (() => Uint8Array | null) | null = null;
  let settle: ((answer: HttpAnswer | Error) => void) | null = null;

  const finish = (answer: HttpAnswer | Error): void => {
    received = null;
    next = null;
    unsent = null;
    const done = settle;
    settle = null;
    done?.(answer);
  };
  /** Writes until the kernel takes no more; `drain` calls it again. */
  const push = (socket: Socket): void => {
    for (;;) {
      unsent ??= next?.() ?? null;
      if (unsent === null) return;
      const written = socket.write(unsent);
      if (written < unsent.length) {
        unsent = unsent.subarray(Math.max(written, 0));
        return;
      }
      unsent = null;
    }
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      drain: push,
      data: (_, bytes) => {
        received = received === null ? bytes : Buffer.concat([received, bytes]);
        const answer = parseAnswer(received);
        if (answer !== null) finish(answer);
      },
      close: () => finish(new Error("the server closed the connection")),
      error: (_, error) => finish(error),
    },
  });
  socket.setNoDelay(true);
  const send = (first: Uint8Array | null, rest: (() => Uint8Array | null) | null) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      settle = (answer) => (answer instanceof Error ? reject(answer) : resolve(answer));
      unsent = first;
      next = rest;
      push(socket);
    });
  return {
    send: (request) => send(request, null),
    stream: (pieces) => send(null, pieces),
    close: () => {
      settle = null;
      socket.end();
    },
  };
}

/** One request on a connection of its own. @throws when the status is not 2xx */
export async function request(port: number, bytes: Uint8Array): Promise<unknown> {
  const connection = await openConnection(port);
  try {
    return readJson(await connection.send(bytes));
  } finally {
    connection.close();
  }
}

/** @throws when the status is not 2xx, with what the server said */
export function readJson({ status, body }: HttpAnswer): unknown {
  const text = body.toString();
  if (status < 200 || status > 299) throw new Error(`status ${status}: ${text.slice(0, 500)}`);
  const start = text.indexOf("{");
  return start < 0 ? null : JSON.parse(text.slice(start, text.lastIndexOf("}") + 1));
}
