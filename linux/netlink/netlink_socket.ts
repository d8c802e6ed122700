/**
 * A netlink socket: sends and receives datagrams without interpreting them.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { addressOf, checked, errno, libc } from "../libc.ts";
import type { NetlinkTransport } from "./netlink_transport.ts";

// `asm-generic/socket.h` and `linux/netlink.h`: equal on x86-64 and arm64.
const AF_NETLINK = 16;
/** struct sockaddr_nl: family (u16), padding (u16), port (u32), groups (u32). */
const SOCKADDR_BYTES = 12;
const PORT_OFFSET = 4;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
/** Families of messages, `linux/netlink.h`. */
export const NETLINK = {
  ROUTE: 0,
  SOCK_DIAG: 4,
  XFRM: 6,
  NETFILTER: 12,
  GENERIC: 16,
} as const;
/** One of them. */
export type NetlinkFamily = typeof NETLINK[keyof typeof NETLINK];
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_PEEK = 0x2;
const MSG_TRUNC = 0x20;

/** The kernel fills up to 32 KiB a datagram of a list. */
const DEFAULT_RECEIVE_BYTES = 64 * 1024;
/**
 * The kernel answers before a send returns, so nothing ever waits. The timeout
 * keeps an unexpected kernel from silently blocking the process.
 */
const RECEIVE_TIMEOUT_SECONDS = 5;

/**
 * A socket in the network namespace that this thread is in when it is made, and
 * after each {@linkcode reset}.
 */
export class NetlinkSocket implements NetlinkTransport {
  readonly #family: NetlinkFamily;
  #descriptor: number;
  #buffer: Uint8Array<ArrayBuffer>;
  #bufferAddress: ReturnType<typeof addressOf>;

  /** @param receiveBytes Memory for answers, to begin with: it grows at need. */
  constructor(
    receiveBytes = DEFAULT_RECEIVE_BYTES,
    family: NetlinkFamily = NETLINK.ROUTE,
  ) {
    this.#family = family;
    this.#buffer = new Uint8Array(receiveBytes);
    this.#bufferAddress = addressOf(this.#buffer);
    this.#descriptor = openNetlinkSocket(0, family);
  }

  /** The kernel's name for the socket, `nl_pid`; unique in its namespace. */
  get portId(): number {
    return portIdOf(this.#descriptor);
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    // No address: an unconnected netlink socket sends to the kernel.
    checked(
      restarted(() =>
        libc().sendto(
          this.#descriptor,
          addressOf(bytes),
          bytes.length,
          0,
          0,
          0,
        )
      ),
      "send a netlink request",
    );
  }

  receive(): Uint8Array {
    const length = this.#receive(0, MSG_PEEK | MSG_TRUNC);
    if (length > this.#buffer.length) {
      this.#buffer = new Uint8Array(length);
      this.#bufferAddress = addressOf(this.#buffer);
    }
    return this.#buffer.subarray(0, this.#receive(this.#buffer.length, 0));
  }

  #receive(length: number, flags: number): number {
    return checked(
      restarted(() =>
        libc().recv(this.#descriptor, this.#bufferAddress, length, flags)
      ),
      "receive a netlink answer",
    );
  }

  reset(): void {
    const fresh = openNetlinkSocket(0, this.#family);
    libc().close(this.#descriptor);
    this.#descriptor = fresh;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }
}

/**
 * A netlink socket of a family in this thread's network namespace, in the given
 * multicast groups (of `NETLINK_ROUTE`: `RTMGRP_*`), whose owner closes it. Throws
 * {@linkcode SystemCallError}.
 */
export function openNetlinkSocket(
  groups = 0,
  family: NetlinkFamily = NETLINK.ROUTE,
): number {
  const descriptor = checked(
    libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family),
    "open a netlink socket",
  );
  try {
    // struct timeval: seconds and microseconds, 64 bits each.
    setOption(
      descriptor,
      SOL_SOCKET,
      SO_RCVTIMEO,
      BigInt64Array.of(BigInt(RECEIVE_TIMEOUT_SECONDS), 0n),
    );
    setOption(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, Int32Array.of(1));
    setOption(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, Int32Array.of(1));
    bindToGroups(descriptor, groups);
  } catch (error) {
    libc().close(descriptor);
    throw error;
  }
  return descriptor;
}

/** Also without groups: a socket that is not bound has no port yet. */
function bindToGroups(descriptor: number, groups: number): void {
  const name = new DataView(new ArrayBuffer(SOCKADDR_BYTES));
  name.setUint16(0, AF_NETLINK, true);
  name.setUint32(8, groups, true);
  checked(
    libc().bind(descriptor, addressOf(name), SOCKADDR_BYTES),
    "bind a netlink socket",
  );
}

function portIdOf(descriptor: number): number {
  const name = new DataView(new ArrayBuffer(SOCKADDR_BYTES));
  const length = Uint32Array.of(SOCKADDR_BYTES);
  checked(
    libc().getsockname(descriptor, addressOf(name), addressOf(length)),
    "read a netlink socket's port",
  );
  return name.getUint32(PORT_OFFSET, true);
}

function setOption(
  descriptor: number,
  level: number,
  option: number,
  value: ArrayBufferView<ArrayBuffer>,
): void {
  const result = libc().setsockopt(
    descriptor,
    level,
    option,
    addressOf(value),
    value.byteLength,
  );
  // Explanations of refusals came with Linux 4.12; older kernels just give none.
  if (result < 0 && level === SOL_NETLINK && errno() === ERRNO.ENOPROTOOPT) {
    return;
  }
  checked(result, "set a netlink socket's option");
}

/** The call's result; a call that a signal interrupted is made again. */
function restarted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || errno() !== ERRNO.EINTR) return result;
  }
}
