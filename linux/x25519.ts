/**
 * Keys of X25519 (RFC 7748), as WireGuard has them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { RandomSource } from "./random.ts";

/** Bytes of a private and of a public key. */
export const X25519_KEY_BYTES = 32;

/** What RFC 8410 puts before a private key's bytes (PKCS #8). */
const PRIVATE_KEY_HEADER = Uint8Array.fromHex(
  "302e020100300506032b656e04220420",
);

/** A new private key, clamped as RFC 7748 (section 5) says. */
export function makeX25519Key(random: RandomSource): Uint8Array {
  const key = random.bytes(X25519_KEY_BYTES);
  key[0]! &= 0xf8;
  key[31] = key[31]! & 0x7f | 0x40;
  return key;
}

/** The public key of a private one. */
export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_KEY_HEADER, privateKey]),
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return new Uint8Array(spki.subarray(spki.length - X25519_KEY_BYTES));
}
