/**
 * Sending ICMP messages as the host.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { AF_INET, setSocketOption, socketAddress } from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const IPPROTO_ICMP = 1;
const SOL_RAW = 255;
const ICMP_FILTER = 1;

/** Sends ICMP messages; the kernel chooses the source address and the route. */
export interface IcmpPort {
  /** `message` is a whole ICMP message. Returns bytes or a negative errno. */
  send(destination: Ipv4, message: Uint8Array): number;
}

/** A raw ICMP socket (man 7 raw). Needs CAP_NET_RAW. */
export class KernelIcmpPort implements IcmpPort, Disposable {
  readonly #descriptor: number;

  constructor() {
    this.#descriptor = checked(
      libc().socket(
        AF_INET,
        SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
        IPPROTO_ICMP,
      ),
      "create an ICMP socket",
      "run as root or with CAP_NET_RAW",
    );
    // Every raw ICMP socket gets a copy of all incoming ICMP. This socket is
    // never read, so its filter blocks every type.
    setSocketOption(this.#descriptor, SOL_RAW, ICMP_FILTER, 0xffffffff);
  }

  send(destination: Ipv4, message: Uint8Array): number {
    const name = socketAddress(destination, 0);
    const sent = libc().sendto(
      this.#descriptor,
      addressOf(message),
      message.length,
      0,
      addressOf(name),
      name.length,
    );
    return sent < 0 ? -errno() : sent;
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}
