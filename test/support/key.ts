const encode = (bytes: ArrayBuffer | Uint8Array) =>
  Buffer.from(bytes as Uint8Array).toString("base64");

/** A device's key: what it shows, and how it signs a challenge. */
export async function createKey() {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  return {
    publicKey: encode(await crypto.subtle.exportKey("raw", pair.publicKey)),
    sign: async (challenge: string) =>
      encode(
        await crypto.subtle.sign("Ed25519", pair.privateKey, Buffer.from(challenge, "base64")),
      ),
  };
}
