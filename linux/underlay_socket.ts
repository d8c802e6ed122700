/**
 * The UDP socket of the slow path. It receives datagrams that the host
 * reassembled from fragments, and ICMP errors about packets sent from the
 * socket's address and port.
 *
 * The packets need not have left by this socket: the kernel finds the socket by
 * the ports that the ICMP message quotes (`__udp4_lib_err` in
 * `net/ipv4/udp.c`), and remembers a path MTU only if there is one.
 *
 * Source: man 7 ip (IP_RECVERR), `linux/errqueue.h`.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import {
  IPPROTO_IP,
  readSocketAddress,
  setSocketOption,
  SOCKADDR_BYTES,
} from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";
import { openUdpSocket } from "./udp_socket.ts";

/** A datagram that has arrived. */
export interface UnderlayDatagram {
  readonly payload: Uint8Array;
  /** The sender's. */
  readonly address: Ipv4;
  readonly port: number;
  /** Of the device by which it came, IP_PKTINFO. */
  readonly interfaceIndex: number;
  /** As it arrived; absent unless it was asked for. */
  readonly ttl?: number;
}

/** An error about a packet that left from the socket's address and port. */
export interface UnderlayError {
  /** Where the packet was bound for. */
  readonly address: Ipv4;
  readonly port: number;
  /** Who says so: another host by ICMP, or this one. */
  readonly origin: "icmp" | "local" | "other";
  /** The host that sent the ICMP message. */
  readonly reporter: Ipv4 | undefined;
  /** As the kernel translates the message: `EMSGSIZE`, `ECONNREFUSED`, … */
  readonly errno: number;
  /**
   * Of ICMP's "destination unreachable": the code (RFC 792, RFC 1812), which
   * says more than the errno.
   */
  readonly unreachableCode: number | undefined;
  /** Of the path, with `EMSGSIZE`. 0 from a router that does not say (RFC 1191). */
  readonly mtuBytes: number | undefined;
}

/** A bound socket; it does not wait: `descriptor` is for a `DescriptorWatch`. */
export interface UnderlaySocket {
  readonly descriptor: number;
  /** Datagrams lost because they were larger than the socket's memory. */
  readonly truncated: number;
  /** Datagrams lost because the kernel's buffer was full. */
  readonly dropped: number;
  /** The next datagram. Throws {@linkcode SystemCallError}. */
  receive(): UnderlayDatagram | undefined;
  /** The next error, oldest first. Throws {@linkcode SystemCallError}. */
  receiveError(): UnderlayError | undefined;
}

/** How to open the socket. */
export interface UnderlaySocketOptions {
  readonly address: Ipv4;
  readonly port: number;
  /** Bytes that the kernel may hold, errors included. */
  readonly bufferBytes?: number;
  /** Memory for one datagram. */
  readonly datagramBytes?: number;
  /** Whether datagrams are to say their TTL. */
  readonly ttl?: boolean;
}

/** Room for some hundred errors or a dozen of the largest datagrams. */
const DEFAULT_BUFFER_BYTES = 512 * 1024;
const LARGEST_DATAGRAM_BYTES = 65535;

const IP_TTL = 2;
const IP_PKTINFO = 8;
const IP_RECVERR = 11;
const IP_RECVTTL = 12;
const SOL_SOCKET = 1;
const SO_RXQ_OVFL = 40;

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;

/** struct msghdr on a 64-bit machine. */
const MSGHDR = {
  BYTES: 56,
  NAME: 0,
  NAME_LENGTH: 8,
  IOVEC: 16,
  IOVEC_COUNT: 24,
  CONTROL: 32,
  CONTROL_LENGTH: 40,
  FLAGS: 48,
} as const;
const IOVEC_BYTES = 16;

/** struct cmsghdr: length (u64), level (i32), type (i32). */
const CMSG_HEADER_BYTES = 16;
const CONTROL_BYTES = 256;

/**
 * struct sock_extended_err: errno (u32), origin, type, code, padding (u8 each),
 * info (u32), data (u32); the reporter's address is behind it.
 */
const ERROR_ORIGIN_OFFSET = 4;
const ERROR_TYPE_OFFSET = 5;
const ERROR_CODE_OFFSET = 6;
const ERROR_INFO_OFFSET = 8;
const ERROR_REPORTER_OFFSET = 16;
const ICMP_UNREACHABLE = 3;
const ORIGINS: Readonly<Record<number, UnderlayError["origin"]>> = {
  1: "local",
  2: "icmp",
};

/**
 * What ICMP errors become (`icmp_err_convert` in `net/ipv4/icmp.c`). The kernel
 * gives each to one call, and has it in the error queue besides.
 */
const ICMP_ERRNOS: ReadonlySet<number> = new Set([
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTUNREACH,
  ERRNO.ENOPROTOOPT,
  ERRNO.ECONNREFUSED,
  ERRNO.EMSGSIZE,
  ERRNO.EOPNOTSUPP,
  ERRNO.EHOSTDOWN,
  ERRNO.ENONET,
  ERRNO.EPROTO,
]);
/** Of these, and of truncated ones, in a row; the rest stays for the next time. */
const ATTEMPTS_PER_RECEIVE = 16;

/** The kernel's. Its owner stops every `DescriptorWatch` of it before disposing. */
export class KernelUnderlaySocket implements UnderlaySocket, Disposable {
  readonly descriptor: number;
  truncated = 0;
  dropped = 0;
  #closed = false;

  readonly #datagram: Uint8Array<ArrayBuffer>;
  /** msghdr, iovec, the sender's address and control messages. */
  readonly #memory: DataView<ArrayBuffer>;
  readonly #address: number;

  static readonly #IOVEC = MSGHDR.BYTES;
  static readonly #NAME = MSGHDR.BYTES + IOVEC_BYTES;
  static readonly #CONTROL = MSGHDR.BYTES + IOVEC_BYTES + SOCKADDR_BYTES;

  /**
   * Throws {@linkcode SystemCallError}: see {@linkcode openUdpSocket}, which says
   * what of the address and the port may be wrong.
   */
  constructor(options: UnderlaySocketOptions) {
    this.#datagram = new Uint8Array(
      options.datagramBytes ?? LARGEST_DATAGRAM_BYTES,
    );
    this.#memory = new DataView(
      new ArrayBuffer(KernelUnderlaySocket.#CONTROL + CONTROL_BYTES),
    );
    this.#address = addressOf(this.#memory);
    this.descriptor = openUdpSocket({
      address: options.address,
      port: options.port,
      bufferBytes: options.bufferBytes ?? DEFAULT_BUFFER_BYTES,
      segment: false,
      gro: false,
    }).descriptor;
    try {
      checked(
        setSocketOption(this.descriptor, IPPROTO_IP, IP_RECVERR, 1),
        "ask for the errors of a UDP socket",
      );
      checked(
        setSocketOption(this.descriptor, IPPROTO_IP, IP_PKTINFO, 1),
        "ask for the device of datagrams",
      );
      checked(
        setSocketOption(
          this.descriptor,
          IPPROTO_IP,
          IP_RECVTTL,
          Number(options.ttl ?? false),
        ),
        "ask for the TTL of datagrams",
      );
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  receive(): UnderlayDatagram | undefined {
    for (let attempt = 0; attempt < ATTEMPTS_PER_RECEIVE; attempt++) {
      const bytes = this.#receiveMessage(MSG_DONTWAIT, this.#datagram.length);
      if (bytes === -ERRNO.EAGAIN) return undefined;
      if (bytes < 0) {
        if (ICMP_ERRNOS.has(-bytes) || bytes === -ERRNO.EINTR) continue;
        throw new SystemCallError("receive a datagram", -bytes);
      }
      this.#countDropped();
      if (this.#memory.getInt32(MSGHDR.FLAGS, true) & MSG_TRUNC) {
        this.truncated++;
        continue;
      }
      const sender = readSocketAddress(
        this.#memory,
        KernelUnderlaySocket.#NAME,
      )!;
      const ttl = this.#control(IPPROTO_IP, IP_TTL);
      return {
        payload: this.#datagram.slice(0, bytes),
        ...sender,
        interfaceIndex: this.#interfaceIndex(),
        ...ttl !== undefined && { ttl: this.#memory.getInt32(ttl, true) },
      };
    }
    return undefined;
  }

  receiveError(): UnderlayError | undefined {
    for (;;) {
      // The packet itself, as far as it is quoted, is of no use.
      const bytes = this.#receiveMessage(MSG_DONTWAIT | MSG_ERRQUEUE, 0);
      if (bytes === -ERRNO.EAGAIN) return undefined;
      if (bytes === -ERRNO.EINTR) continue;
      if (bytes < 0) {
        throw new SystemCallError("receive an error of a UDP socket", -bytes);
      }
      const packet = readSocketAddress(
        this.#memory,
        KernelUnderlaySocket.#NAME,
      );
      const at = this.#control(IPPROTO_IP, IP_RECVERR);
      if (packet === undefined || at === undefined) continue;
      const number = this.#memory.getUint32(at, true);
      const origin = ORIGINS[this.#memory.getUint8(at + ERROR_ORIGIN_OFFSET)] ??
        "other";
      const type = this.#memory.getUint8(at + ERROR_TYPE_OFFSET);
      return {
        ...packet,
        origin,
        unreachableCode: origin === "icmp" && type === ICMP_UNREACHABLE
          ? this.#memory.getUint8(at + ERROR_CODE_OFFSET)
          : undefined,
        reporter: readSocketAddress(this.#memory, at + ERROR_REPORTER_OFFSET)
          ?.address,
        errno: number,
        mtuBytes: number === ERRNO.EMSGSIZE
          ? this.#memory.getUint32(at + ERROR_INFO_OFFSET, true)
          : undefined,
      };
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.descriptor);
  }

  /** recvmsg(2) into the memory; bytes or a negative error number. */
  #receiveMessage(flags: number, capacity: number): number {
    const memory = this.#memory;
    const { BYTES, ...field } = MSGHDR;
    const pointer = (at: number, value: number) =>
      memory.setBigUint64(at, BigInt(value), true);
    // The kernel changes lengths and flags, and an error may bring no address.
    memory.setUint16(KernelUnderlaySocket.#NAME, 0, true);
    pointer(field.NAME, this.#address + KernelUnderlaySocket.#NAME);
    memory.setUint32(field.NAME_LENGTH, SOCKADDR_BYTES, true);
    pointer(field.IOVEC, this.#address + KernelUnderlaySocket.#IOVEC);
    pointer(field.IOVEC_COUNT, 1);
    pointer(field.CONTROL, this.#address + KernelUnderlaySocket.#CONTROL);
    pointer(field.CONTROL_LENGTH, CONTROL_BYTES);
    pointer(BYTES, addressOf(this.#datagram));
    pointer(BYTES + 8, capacity);
    const bytes = libc().recvmsg(this.descriptor, this.#address, flags);
    return bytes < 0 ? -errno() : bytes;
  }

  /** The first field of struct in_pktinfo; 0 where the kernel did not say. */
  #interfaceIndex(): number {
    const at = this.#control(IPPROTO_IP, IP_PKTINFO);
    return at === undefined ? 0 : this.#memory.getInt32(at, true);
  }

  #countDropped(): void {
    const at = this.#control(SOL_SOCKET, SO_RXQ_OVFL);
    if (at !== undefined) this.dropped = this.#memory.getUint32(at, true);
  }

  /** Where the data of a control message begins. */
  #control(level: number, type: number): number | undefined {
    const memory = this.#memory;
    const start = KernelUnderlaySocket.#CONTROL;
    const end = start +
      Number(memory.getBigUint64(MSGHDR.CONTROL_LENGTH, true));
    for (let at = start; at + CMSG_HEADER_BYTES <= end;) {
      const length = Number(memory.getBigUint64(at, true));
      if (
        memory.getInt32(at + 8, true) === level &&
        memory.getInt32(at + 12, true) === type
      ) return at + CMSG_HEADER_BYTES;
      if (length < CMSG_HEADER_BYTES) return undefined;
      at += (length + 7) & ~7;
    }
    return undefined;
  }
}
