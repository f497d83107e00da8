/** Reads an answer into memory, as far as it may go; null when there is more. */
export async function readAnswer(
  response: Response,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done;) {
    length += part.value.length;
    if (length > limitBytes) {
      await reader?.cancel();
      return null;
    }
    parts.push(part.value);
    part = await reader?.read();
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
