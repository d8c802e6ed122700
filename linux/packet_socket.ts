/**
 * Sends raw Ethernet frames.
 *
 * @module
 */

import { addressOf, checked, errno, libc } from "./libc.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
/** Protocol 0: nothing that arrives is copied to the socket. */
const NO_PROTOCOL = 0;

/**
 * struct sockaddr_ll of `linux/if_packet.h`: family (u16), protocol (u16, which
 * Linux 5.1 takes from the frame), index (i32), and an address that a whole frame
 * does not need.
 */
const SOCKADDR_BYTES = 20;
const INDEX_OFFSET = 4;

/** Sends frames out of devices; it receives none. */
export interface PacketPort {
  /**
   * `frame` is a whole Ethernet frame without its check sequence. Returns bytes or
   * a negative error number: `-ENXIO` or `-ENODEV` when there is no such device,
   * `-ENETDOWN` when it is down, `-EMSGSIZE` when the packet is larger than its
   * MTU, `-EINVAL` when the frame is shorter than an Ethernet header, `-ENOBUFS`
   * when the device's queue dropped it.
   */
  sendFrame(interfaceIndex: number, frame: Uint8Array): number;
}

/**
 * A packet socket (man 7 packet) in the network namespace of the thread that made
 * it. Needs CAP_NET_RAW.
 */
export class KernelPacketPort implements PacketPort, Disposable {
  #descriptor: number;
  readonly #name = new DataView(new ArrayBuffer(SOCKADDR_BYTES));
  readonly #nameAddress = addressOf(this.#name);

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor() {
    this.#descriptor = checked(
      libc().socket(
        AF_PACKET,
        SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
        NO_PROTOCOL,
      ),
      "create a packet socket",
      "run as root or with CAP_NET_RAW",
    );
    this.#name.setUint16(0, AF_PACKET, true);
  }

  sendFrame(interfaceIndex: number, frame: Uint8Array): number {
    this.#name.setInt32(INDEX_OFFSET, interfaceIndex, true);
    const sent = libc().sendto(
      this.#descriptor,
      addressOf(frame),
      frame.length,
      0,
      this.#nameAddress,
      SOCKADDR_BYTES,
    );
    return sent < 0 ? -errno() : sent;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }
}
