/**
 * The UDP socket that carries encapsulated packets.
 *
 * @module
 */

import { formatIpv4, type Ipv4 } from "../net/ipv4.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import {
  AF_INET,
  IPPROTO_IP,
  setSocketOption,
  SOCKADDR_BYTES,
  socketAddress,
} from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";
import type { PacketMemory } from "./packet_memory.ts";

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;

// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_RXQ_OVFL = 40;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

// linux/in.h
const IP_PKTINFO = 8;
const IP_MTU_DISCOVER = 10;
const IP_MTU = 14;
const IP_PMTUDISC_DONT = 0;
const IP_PMTUDISC_DO = 2;
const IP_PMTUDISC_INTERFACE = 4;

// linux/udp.h
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

const MSG_DONTWAIT = 0x40;

/** A segment size, a count of drops, an address with its device. */
const CONTROL_BYTES = 96;
const CMSG_HEADER_BYTES = 16;
/** cmsghdr (16) and an int, aligned to 8. */
const CMSG_INT_BYTES = 24;

/** Bytes that {@linkcode KernelUdpPort} takes of the memory for its structures. */
export const UDP_PORT_AREA_BYTES = 512;

/** An open, bound UDP socket. */
export interface UdpSocket {
  readonly descriptor: number;
  /** The requested features that the kernel has. */
  readonly segment: boolean;
  readonly gro: boolean;
}

/** How to open the socket. */
export interface UdpSocketOptions {
  readonly address: Ipv4;
  readonly port: number;
  readonly segment: boolean;
  readonly gro: boolean;
  /** Bytes the kernel may hold in each direction. */
  readonly bufferBytes: number;
}

/**
 * Opens and binds the socket.
 *
 * Path MTU discovery is on: sending a packet that is too big for the path fails
 * instead of fragmenting it.
 *
 * Throws {@linkcode SystemCallError}, with a hint for the usual causes.
 */
export function openUdpSocket(options: UdpSocketOptions): UdpSocket {
  const where = `${formatIpv4(options.address)}:${options.port}`;
  const descriptor = checked(
    libc().socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    "create a UDP socket",
  );
  try {
    const name = socketAddress(options.address, options.port);
    if (libc().bind(descriptor, addressOf(name), name.length) < 0) {
      throw bindError(where, errno());
    }
    setSocketOption(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    // Without CAP_NET_ADMIN the sizes stay at the system's default.
    setSocketOption(
      descriptor,
      SOL_SOCKET,
      SO_RCVBUFFORCE,
      options.bufferBytes,
    );
    setSocketOption(
      descriptor,
      SOL_SOCKET,
      SO_SNDBUFFORCE,
      options.bufferBytes,
    );
    setSocketOption(descriptor, SOL_SOCKET, SO_RXQ_OVFL, 1);
    setSocketOption(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
    return {
      descriptor,
      // Segment size 0 changes nothing and fails where the option is unknown.
      segment: options.segment &&
        setSocketOption(descriptor, SOL_UDP, UDP_SEGMENT, 0) >= 0,
      gro: options.gro &&
        setSocketOption(descriptor, SOL_UDP, UDP_GRO, 1) >= 0,
    };
  } catch (error) {
    libc().close(descriptor);
    throw error;
  }
}

function bindError(where: string, number: number): SystemCallError {
  const hint = number === ERRNO.EADDRINUSE
    ? "another agent or flanneld uses this port: stop it, or give this network another Backend.Port"
    : number === ERRNO.EADDRNOTAVAIL
    ? "the address is no longer on this host"
    : undefined;
  return new SystemCallError(
    `listen on UDP ${where}`,
    number,
    hint === undefined ? {} : { hint },
  );
}

/** The packet side of the socket; `memory_udp.ts` in the tests is its twin. */
export interface UdpPort {
  /**
   * Sends `bytes` bytes from `count` iovecs at `iovecs` to a peer, as datagrams
   * of `segmentBytes` each (0: as one). Returns the bytes, or a negative error
   * number.
   */
  send(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number;
  /** The same for one datagram, which may be fragmented on its way. */
  sendFragmentable(peer: number, iovecs: number, count: number): number;
  /**
   * The same as `send`, whatever path MTU the kernel has learned: the device's MTU
   * is the limit, and routers may fragment the datagrams.
   */
  sendUnlimited(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number;
  /**
   * The largest outer packet in bytes that the kernel knows to reach a peer, or a
   * negative error number.
   */
  pathMtuBytes(peer: number): number;
  /**
   * Receives into `capacity` bytes at `offset` and sets the `received*` fields.
   * Returns the bytes, or a negative error number (`-EAGAIN`: nothing there).
   */
  receive(offset: number, capacity: number): number;
  /** Sender's address, host byte order. */
  readonly receivedFrom: number;
  /** Index of the device by which it came; 0 where the kernel did not say. */
  readonly receivedInterface: number;
  /** Bytes of each datagram in the buffer (the last may be shorter). */
  readonly receivedSegmentBytes: number;
  /** Datagrams that the socket's full buffer has cost so far. */
  readonly droppedBySocket: number;
}

/** A UDP socket whose packets lie in a {@linkcode PacketMemory}. */
export class KernelUdpPort implements UdpPort {
  receivedFrom = 0;
  receivedInterface = 0;
  receivedSegmentBytes = 0;
  droppedBySocket = 0;

  readonly #libc = libc();
  readonly #descriptor: number;
  readonly #port: number;
  readonly #memory: PacketMemory;
  // Offsets of the structures, for sending and for receiving.
  readonly #sendName: number;
  readonly #sendHeader: number;
  readonly #sendControl: number;
  readonly #receiveName: number;
  readonly #receiveHeader: number;
  readonly #receiveControl: number;
  readonly #receiveIovec: number;
  /** IP_MTU_DISCOVER, as the socket has it. */
  #discovery = IP_PMTUDISC_DO;
  /** Addresses of the two message headers: see {@linkcode PacketMemory.addresses}. */
  readonly #headers: BigUint64Array;

  /**
   * @param port The port of every peer (compat 2.5: it is cluster-wide).
   * @param area Offset of {@linkcode UDP_PORT_AREA_BYTES} bytes, a multiple of 8.
   */
  constructor(
    descriptor: number,
    port: number,
    memory: PacketMemory,
    area: number,
  ) {
    this.#descriptor = descriptor;
    this.#port = port;
    this.#memory = memory;
    this.#sendName = area;
    this.#sendHeader = area + 16;
    this.#sendControl = area + 80;
    this.#receiveName = area + 256;
    this.#receiveHeader = area + 272;
    this.#receiveControl = area + 336;
    this.#receiveIovec = area + 432;
    this.#headers = BigUint64Array.of(
      BigInt(memory.address + this.#sendHeader),
      BigInt(memory.address + this.#receiveHeader),
    );
    this.#prepare();
  }

  #prepare(): void {
    const memory = this.#memory;
    memory.bytes.fill(0, this.#sendName, this.#sendName + UDP_PORT_AREA_BYTES);
    memory.view.setUint16(this.#sendName, AF_INET, true);
    memory.view.setUint16(this.#sendName + 2, this.#port);
    memory.storePointer(this.#sendHeader, this.#sendName);
    memory.storeSize(this.#sendHeader + 8, SOCKADDR_BYTES);
    memory.storePointer(this.#sendHeader + 32, this.#sendControl);
    memory.storeSize(this.#sendControl, 18); // CMSG_LEN(sizeof(u16))
    memory.view.setInt32(this.#sendControl + 8, SOL_UDP, true);
    memory.view.setInt32(this.#sendControl + 12, UDP_SEGMENT, true);

    memory.storePointer(this.#receiveHeader, this.#receiveName);
    memory.storePointer(this.#receiveHeader + 16, this.#receiveIovec);
    memory.storeSize(this.#receiveHeader + 24, 1);
    memory.storePointer(this.#receiveHeader + 32, this.#receiveControl);
  }

  send(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    return this.#send(IP_PMTUDISC_DO, peer, iovecs, count, segmentBytes);
  }

  #send(
    discovery: number,
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    if (discovery !== this.#discovery) {
      setSocketOption(
        this.#descriptor,
        IPPROTO_IP,
        IP_MTU_DISCOVER,
        discovery,
      );
      this.#discovery = discovery;
    }
    const { words, view } = this.#memory;
    view.setUint32(this.#sendName + 4, peer);
    this.#memory.storePointer(this.#sendHeader + 16, iovecs);
    words[(this.#sendHeader + 24) >> 2] = count;
    words[(this.#sendHeader + 40) >> 2] = segmentBytes === 0
      ? 0
      : CMSG_INT_BYTES;
    view.setUint16(this.#sendControl + 16, segmentBytes, true);
    const bytes = this.#libc.sendmsg(
      this.#descriptor,
      this.#headers[0]!,
      MSG_DONTWAIT,
    );
    return bytes < 0 ? -errno() : bytes;
  }

  sendFragmentable(peer: number, iovecs: number, count: number): number {
    return this.#send(IP_PMTUDISC_DONT, peer, iovecs, count, 0);
  }

  sendUnlimited(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    return this.#send(
      IP_PMTUDISC_INTERFACE,
      peer,
      iovecs,
      count,
      segmentBytes,
    );
  }

  pathMtuBytes(peer: number): number {
    // The kernel reports it only for a connected socket, and this one is not.
    const probe = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return -errno();
    try {
      const name = socketAddress(peer as Ipv4, this.#port);
      if (libc().connect(probe, addressOf(name), name.length) < 0) {
        return -errno();
      }
      const value = new Int32Array(1);
      const length = Int32Array.of(4);
      const result = libc().getsockopt(
        probe,
        IPPROTO_IP,
        IP_MTU,
        addressOf(value),
        addressOf(length),
      );
      return result < 0 ? -errno() : value[0]!;
    } finally {
      libc().close(probe);
    }
  }

  receive(offset: number, capacity: number): number {
    const memory = this.#memory;
    const words = memory.words;
    words[(this.#receiveHeader + 8) >> 2] = SOCKADDR_BYTES;
    words[(this.#receiveHeader + 40) >> 2] = CONTROL_BYTES;
    memory.storePointer(this.#receiveIovec, offset);
    words[(this.#receiveIovec + 8) >> 2] = capacity;
    const bytes = this.#libc.recvmsg(
      this.#descriptor,
      this.#headers[1]!,
      MSG_DONTWAIT,
    );
    if (bytes < 0) return -errno();
    this.receivedFrom = memory.view.getUint32(this.#receiveName + 4);
    this.receivedSegmentBytes = bytes;
    this.receivedInterface = 0;
    this.#readControl();
    return bytes;
  }

  #readControl(): void {
    const words = this.#memory.words;
    const used = words[(this.#receiveHeader + 40) >> 2]!;
    for (let at = 0; at + CMSG_HEADER_BYTES <= used;) {
      const cmsg = (this.#receiveControl + at) >> 2;
      const length = words[cmsg]!;
      const level = words[cmsg + 2]!;
      const type = words[cmsg + 3]!;
      if (level === SOL_UDP && type === UDP_GRO) {
        this.receivedSegmentBytes = words[cmsg + 4]!;
      } else if (level === SOL_SOCKET && type === SO_RXQ_OVFL) {
        this.droppedBySocket = words[cmsg + 4]!;
      } else if (level === IPPROTO_IP && type === IP_PKTINFO) {
        this.receivedInterface = words[cmsg + 4]!;
      }
      if (length < CMSG_HEADER_BYTES) return;
      at += (length + 7) & ~7;
    }
  }
}
