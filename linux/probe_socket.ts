/**
 * A UDP socket for probes: small messages with DF, and the device by which each
 * came.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { IPPROTO_IP, sendTo, setSocketOption } from "./inet_socket.ts";
import { addressOf, checked, libc } from "./libc.ts";
import { filterDatagrams } from "./socket_filter.ts";
import { KernelUnderlaySocket } from "./underlay_socket.ts";

const SOL_SOCKET = 1;
const SO_MEMINFO = 55;
/** Its array of numbers (u32), and the one of drops (`linux/sock_diag.h`). */
const MEMINFO_COUNT = 9;
const MEMINFO_DROPS = 8;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
const IP_RECVERR = 11;
/** DF is set, and what the kernel has learned of the path is not asked. */
const IP_PMTUDISC_PROBE = 3;
const SIOCGIFNAME = 0x8910;
const SIOCGIFINDEX = 0x8933;
/** struct ifreq: the name, and a union of 24 bytes, here the index. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
/** Of what is sent: the largest there is (RFC 5082). */
export const PROBE_TTL = 255;
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

/** What a datagram must have to be received. */
export interface ProbeFilter {
  /** The names of devices by which it may come. */
  readonly devices: readonly string[];
  /** The sender's. */
  readonly port: number;
  readonly leastTtl: number;
  /** Bits that the sender's address must not have. */
  readonly clearSourceBits: Ipv4;
}

/** It does not wait: `descriptor` is for a `DescriptorWatch`. */
export interface ProbeSocket extends Disposable {
  readonly descriptor: number;
  /** Sends one datagram. Returns its bytes or a negative errno. */
  send(address: Ipv4, port: number, payload: Uint8Array): number;
  /** The next datagram. Throws {@linkcode SystemCallError}. */
  receive(): ProbeDatagram | undefined;
  /**
   * The kernel drops others from now on, before they fill the buffer. Call it again
   * when devices may have changed. Throws {@linkcode SystemCallError}.
   */
  setFilter(filter: ProbeFilter): void;
  /** Datagrams that the kernel has dropped: by the filter, or for a full buffer. */
  readonly dropped: number;
}

/** The kernel's. Its owner stops every `DescriptorWatch` of it before disposing. */
export class KernelProbeSocket implements ProbeSocket {
  readonly descriptor: number;
  readonly #socket: KernelUnderlaySocket;
  readonly #request = new DataView(new ArrayBuffer(IFREQ_BYTES));
  #filter = "";

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

  setFilter({ devices, port, ...others }: ProbeFilter): void {
    const filter = {
      interfaceIndexes: devices.map((name) => this.#indexOf(name))
        .filter((index) => index !== undefined),
      sourcePort: port,
      ...others,
    };
    const text = JSON.stringify(filter);
    if (text === this.#filter) return;
    filterDatagrams(this.descriptor, filter);
    this.#filter = text;
  }

  get dropped(): number {
    const numbers = new Uint32Array(MEMINFO_COUNT);
    const length = Uint32Array.of(numbers.byteLength);
    checked(
      libc().getsockopt(
        this.descriptor,
        SOL_SOCKET,
        SO_MEMINFO,
        addressOf(numbers),
        addressOf(length),
      ),
      "read what a UDP socket has dropped",
    );
    return numbers[MEMINFO_DROPS]!;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #indexOf(device: string): number | undefined {
    const name = new Uint8Array(this.#request.buffer, 0, NAME_BYTES);
    name.fill(0);
    const { written } = new TextEncoder().encodeInto(device, name);
    if (written === NAME_BYTES) return undefined;
    const result = libc().ioctl(
      this.descriptor,
      SIOCGIFINDEX,
      addressOf(this.#request),
    );
    return result < 0 ? undefined : this.#request.getInt32(NAME_BYTES, true);
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
