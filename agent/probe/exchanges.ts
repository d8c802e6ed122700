/**
 * Requests that are on their way, so that only their own responses are believed.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { PROBE_NONCE_BYTES } from "../../net/probe_message.ts";
import type { ProbeWay } from "./peer_probe.ts";

/** What a request may be answered with. */
export type ResponseKind = "echo" | "answer";

/** A request that waits. */
export interface Exchange {
  readonly address: Ipv4;
  readonly way: ProbeWay;
  readonly kind: ResponseKind;
  /** Called once at most. */
  readonly onResponse: (rttMs: number, content: Uint8Array) => void;
}

/** What has arrived. */
export interface Response extends Pick<Exchange, "address" | "way" | "kind"> {
  readonly nonce: Uint8Array;
  readonly content: Uint8Array;
}

/** See the module. */
export class Exchanges {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #random: Pick<RandomSource, "bytes">;
  readonly #open = new Map<bigint, Exchange & { readonly sentMs: number }>();

  constructor(
    clock: Pick<Clock, "monotonic">,
    random: Pick<RandomSource, "bytes">,
  ) {
    this.#clock = clock;
    this.#random = random;
  }

  /** How many requests wait. */
  get size(): number {
    return this.#open.size;
  }

  /** @returns the nonce of the request, until {@linkcode Exchanges.close}. */
  open(exchange: Exchange): Uint8Array {
    const nonce = this.#random.bytes(PROBE_NONCE_BYTES);
    this.#open.set(keyOf(nonce), {
      ...exchange,
      sentMs: this.#clock.monotonic(),
    });
    return nonce;
  }

  /** A response that comes later is not expected. */
  close(nonce: Uint8Array): void {
    this.#open.delete(keyOf(nonce));
  }

  /**
   * @returns whether a request waited for it. One that comes twice, late, from
   * another address or in another way than the request went is not believed.
   */
  accept({ address, content, kind, nonce, way }: Response): boolean {
    const key = keyOf(nonce);
    const exchange = this.#open.get(key);
    if (
      exchange === undefined || exchange.address !== address ||
      exchange.way !== way || exchange.kind !== kind
    ) return false;
    this.#open.delete(key);
    exchange.onResponse(this.#clock.monotonic() - exchange.sentMs, content);
    return true;
  }
}

function keyOf(nonce: Uint8Array): bigint {
  return new DataView(nonce.buffer, nonce.byteOffset).getBigUint64(0);
}
