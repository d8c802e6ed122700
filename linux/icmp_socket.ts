/**
 * Raw ICMP sockets, and sending messages as the host.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { AF_INET, sendTo, setSocketOption } from "./inet_socket.ts";
import { checked, libc } from "./libc.ts";

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const IPPROTO_ICMP = 1;
const SOL_RAW = 255;
const ICMP_FILTER = 1;

/**
 * A raw ICMP socket (man 7 raw).
 *
 * @param blockedTypes a bit for each type of message that it does not get.
 * @throws {SystemCallError} without CAP_NET_RAW.
 */
export function openIcmpSocket(blockedTypes: number): number {
  const descriptor = checked(
    libc().socket(
      AF_INET,
      SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
      IPPROTO_ICMP,
    ),
    "create an ICMP socket",
    "run as root or with CAP_NET_RAW",
  );
  setSocketOption(descriptor, SOL_RAW, ICMP_FILTER, blockedTypes);
  return descriptor;
}

/** Sends ICMP messages; the kernel chooses the source address and the route. */
export interface IcmpPort {
  /** `message` is a whole ICMP message. Returns bytes or a negative errno. */
  send(destination: Ipv4, message: Uint8Array): number;
}

/** Needs CAP_NET_RAW. */
export class KernelIcmpPort implements IcmpPort, Disposable {
  readonly #descriptor: number;

  constructor() {
    // Every raw ICMP socket gets a copy of all incoming ICMP. This socket is
    // never read, so its filter blocks every type.
    this.#descriptor = openIcmpSocket(0xffffffff);
  }

  send(destination: Ipv4, message: Uint8Array): number {
    return sendTo(this.#descriptor, destination, 0, message);
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}
