/**
 * This host's private key.
 *
 * @module
 */

import type { RandomSource } from "../../linux/random.ts";
import { makeX25519Key, x25519PublicKey } from "../../linux/x25519.ts";

/**
 * A private key that no log, status or dump shows: printing it, or an object that
 * contains it, prints the public key.
 */
export class WireguardKey {
  /** Base64, as in the lease. */
  readonly publicKey: string;
  readonly #privateKey: Uint8Array;

  /** @param privateKey 32 bytes. */
  constructor(privateKey: Uint8Array) {
    this.#privateKey = privateKey.slice();
    this.publicKey = x25519PublicKey(privateKey).toBase64();
  }

  /** A new one. */
  static make(random: RandomSource): WireguardKey {
    return new WireguardKey(makeX25519Key(random));
  }

  /** The private key, for the kernel and for the file. */
  reveal(): Uint8Array {
    return this.#privateKey.slice();
  }

  toString(): string {
    return `WireGuard key ${this.publicKey}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}
