/**
 * A UDP socket for probes: small messages with DF, and the device by which each
 * came.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { IPPROTO_IP, sendTo, setSocketOption } from "./inet_socket.ts";
import { addressOf, checked, libc } from "./libc.ts";
import { KernelUnderlaySocket } from "./underlay_socket.ts";

const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
const IP_RECVERR = 11;
/** DF is set, and what the kernel has learned of the path is not asked. */
const IP_PMTUDISC_PROBE = 3;
const SIOCGIFNAME = 0x8910;
/** struct ifreq: the name, and a union of 24 bytes, here the index. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
/** Of what is sent: the largest there is (RFC 5082). */
export const PROBE_TTL = 255;
/** A flood fills it and is lost in the kernel. */
const BUFFER_BYTES = 128 * 1024;

/** A datagram that has arrived. */
export interface ProbeDatagram {
  readonly payload: Uint8Array;
  /** The sender's. */
  readonly address: Ipv4;
  readonly port: number;
  /** Of the device by which it came; `undefined` if that is gone. */
  readonly device: string | undefined;
  /** As it arrived: {@linkcode PROBE_TTL} less what hosts on its way took. */
  readonly ttl: number;
}

/** It does not wait: `descriptor` is for a `DescriptorWatch`. */
export interface ProbeSocket extends Disposable {
  readonly descriptor: number;
  /** Sends one datagram. Returns its bytes or a negative errno. */
  send(address: Ipv4, port: number, payload: Uint8Array): number;
  /** The next datagram. Throws {@linkcode SystemCallError}. */
  receive(): ProbeDatagram | undefined;
}

/** The kernel's. Its owner stops every `DescriptorWatch` of it before disposing. */
export class KernelProbeSocket implements ProbeSocket {
  readonly descriptor: number;
  readonly #socket: KernelUnderlaySocket;
  readonly #request = new DataView(new ArrayBuffer(IFREQ_BYTES));

  /** Throws {@linkcode SystemCallError}: the port is taken, or the address gone. */
  constructor(address: Ipv4, port: number) {
    this.#socket = new KernelUnderlaySocket({
      address,
      port,
      bufferBytes: BUFFER_BYTES,
      ttl: true,
    });
    this.descriptor = this.#socket.descriptor;
    try {
      // An error that is not read would end every wait at once.
      for (
        const [option, value] of [
          [IP_RECVERR, 0],
          [IP_TTL, PROBE_TTL],
          [IP_MTU_DISCOVER, IP_PMTUDISC_PROBE],
        ] as const
      ) {
        checked(
          setSocketOption(this.descriptor, IPPROTO_IP, option, value),
          "set an option of a UDP socket",
        );
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  send(address: Ipv4, port: number, payload: Uint8Array): number {
    return sendTo(this.descriptor, address, port, payload);
  }

  receive(): ProbeDatagram | undefined {
    const datagram = this.#socket.receive();
    if (datagram === undefined) return undefined;
    const { address, interfaceIndex, payload, port, ttl = 0 } = datagram;
    const device = this.#nameOf(interfaceIndex);
    return { address, port, payload, device, ttl };
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #nameOf(interfaceIndex: number): string | undefined {
    this.#request.setInt32(NAME_BYTES, interfaceIndex, true);
    const result = libc().ioctl(
      this.descriptor,
      SIOCGIFNAME,
      addressOf(this.#request),
    );
    if (result < 0) return undefined;
    const name = new Uint8Array(this.#request.buffer, 0, NAME_BYTES);
    return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  }
}
