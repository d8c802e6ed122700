/**
 * TUN devices: a program sends and receives packets of the host's routing.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "./errno.ts";
import { addressOf, checked, cString, errno, libc } from "./libc.ts";
import type { PacketMemory } from "./packet_memory.ts";

// linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO_ECN = 0x08;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;

const O_RDWR = 2;
const O_NONBLOCK = 0x800;
const O_CLOEXEC = 0x80000;
const IFNAMSIZ = 16;

/** An attached TUN device. */
export interface TunDevice {
  readonly descriptor: number;
  readonly name: string;
  /** The requested features that the kernel accepted. */
  readonly tcpOffload: boolean;
  readonly udpOffload: boolean;
}

/** How to open a TUN device. */
export interface TunOptions {
  /** A name, or a pattern such as `flannel%d` of which the kernel takes the first free one. */
  readonly name: string;
  readonly tcpOffload: boolean;
  readonly udpOffload: boolean;
}

/**
 * Opens `/dev/net/tun` and attaches to the device of that name, which is
 * created if absent. The device has IFF_VNET_HDR and is persistent, so that its
 * address and routes survive a restart.
 *
 * Throws {@linkcode SystemCallError}, with a hint for the usual causes.
 */
export function openTun(options: TunOptions): TunDevice {
  const descriptor = libc().open(
    cString("/dev/net/tun"),
    O_RDWR | O_NONBLOCK | O_CLOEXEC,
  );
  if (descriptor < 0) throw openError(errno());
  try {
    const name = attach(descriptor, options.name);
    const offloads = setOffloads(descriptor, options);
    checked(
      libc().ioctl(descriptor, TUNSETPERSIST, 1),
      `keep the TUN device ${name}`,
    );
    return { descriptor, name, ...offloads };
  } catch (error) {
    libc().close(descriptor);
    throw error;
  }
}

function openError(number: number): SystemCallError {
  const hint = number === ERRNO.ENOENT || number === ERRNO.ENODEV
    ? "load the module: modprobe tun; in a container, pass --device /dev/net/tun"
    : number === ERRNO.EACCES || number === ERRNO.EPERM
    ? "run as root or with CAP_NET_ADMIN"
    : undefined;
  return new SystemCallError(
    "open /dev/net/tun",
    number,
    hint === undefined ? {} : { hint },
  );
}

function attach(descriptor: number, name: string): string {
  // struct ifreq: name, then a union whose first member here is the flags.
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
  new DataView(request.buffer).setUint16(
    IFNAMSIZ,
    IFF_TUN | IFF_NO_PI | IFF_VNET_HDR,
    true,
  );
  if (libc().ioctl(descriptor, TUNSETIFF, addressOf(request)) < 0) {
    throw attachError(name, errno());
  }
  const end = request.indexOf(0);
  return new TextDecoder().decode(request.subarray(0, end));
}

function attachError(name: string, number: number): SystemCallError {
  const hint = number === ERRNO.EBUSY
    ? "another program holds it: stop the other agent, or choose another --device"
    : number === ERRNO.EPERM
    ? "run as root or with CAP_NET_ADMIN"
    : number === ERRNO.EINVAL
    ? "a device of that name exists and is not such a TUN: choose another --device"
    : undefined;
  return new SystemCallError(
    `attach to the TUN device ${name}`,
    number,
    hint === undefined ? {} : { hint },
  );
}

/** Requests all offloads, then fewer, until the kernel accepts. */
function setOffloads(
  descriptor: number,
  wanted: { tcpOffload: boolean; udpOffload: boolean },
): { tcpOffload: boolean; udpOffload: boolean } {
  const { tcpOffload, udpOffload } = wanted;
  const attempts = [
    { tcpOffload, udpOffload },
    { tcpOffload, udpOffload: false },
    { tcpOffload: false, udpOffload: false },
  ];
  for (const attempt of attempts) {
    const flags = TUN_F_CSUM |
      (attempt.tcpOffload ? TUN_F_TSO4 | TUN_F_TSO_ECN : 0) |
      (attempt.udpOffload ? TUN_F_USO4 | TUN_F_USO6 : 0);
    if (libc().ioctl(descriptor, TUNSETOFFLOAD, flags) >= 0) return attempt;
  }
  throw new SystemCallError("set the offloads of the TUN device", errno());
}

/** The packet side of a TUN device; `memory_tun.ts` in the tests is its twin. */
export interface TunPort {
  /**
   * Reads one packet into the read slot of that number: its virtio_net_hdr and
   * the packet. Returns the bytes of both, or a negative error number (`-EAGAIN`
   * when there is none).
   */
  read(slot: number): number;
  /**
   * Writes one packet from `count` iovecs at the offset `iovecs`, the first of
   * which is the virtio_net_hdr. Returns the bytes, or a negative error number.
   */
  write(iovecs: number, count: number): number;
}

/** Where in the memory a port's packets and iovecs lie; offsets in bytes. */
export interface TunPortLayout {
  readonly readStart: number;
  readonly readEnd: number;
  /** From one read slot to the next. */
  readonly readStride: number;
  readonly iovecsStart: number;
  readonly iovecsEnd: number;
}

const IOVEC_BYTES = 16;
/** A virtio_net_hdr and the largest IPv4 packet. */
const TUN_READ_BYTES = 10 + 65535;
const READ_BYTES = BigInt(TUN_READ_BYTES);

/** A TUN device whose packets lie in a {@linkcode PacketMemory}. */
export class KernelTunPort implements TunPort {
  readonly #libc = libc();
  readonly #descriptor: number;
  readonly #slots: BigUint64Array;
  readonly #iovecs: BigUint64Array;
  readonly #iovecsStart: number;

  constructor(
    descriptor: number,
    memory: PacketMemory,
    layout: TunPortLayout,
  ) {
    this.#descriptor = descriptor;
    this.#slots = memory.addresses(
      layout.readStart,
      layout.readEnd,
      layout.readStride,
    );
    this.#iovecs = memory.addresses(
      layout.iovecsStart,
      layout.iovecsEnd,
      IOVEC_BYTES,
    );
    this.#iovecsStart = layout.iovecsStart;
  }

  read(slot: number): number {
    const bytes = this.#libc.read(
      this.#descriptor,
      this.#slots[slot]!,
      READ_BYTES,
    );
    return bytes < 0 ? -errno() : bytes;
  }

  write(iovecs: number, count: number): number {
    const bytes = this.#libc.writev(
      this.#descriptor,
      this.#iovecs[(iovecs - this.#iovecsStart) / IOVEC_BYTES]!,
      count,
    );
    return bytes < 0 ? -errno() : bytes;
  }
}
