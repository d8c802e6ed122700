/**
 * ICMP echo from an address of this host, with DF.
 *
 * @module
 */

import { internetChecksum } from "../net/checksum.ts";
import { type Ipv4, ipv4FromBytes } from "../net/ipv4.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { openIcmpSocket } from "./icmp_socket.ts";
import {
  IPPROTO_IP,
  sendTo,
  setSocketOption,
  socketAddress,
} from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
const IP_MTU_DISCOVER = 10;
/** DF is set, and what the kernel has learned of the path is not asked. */
const IP_PMTUDISC_PROBE = 3;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const IP_HEADER_BYTES = 20;
const ICMP_HEADER_BYTES = 8;
const BUFFER_BYTES = 65_535;
/** Of other messages, before the caller has its turn. */
const READS_PER_RECEIVE = 256;

/** Bytes of a nonce, which the reply repeats. */
export const ECHO_NONCE_BYTES = 8;

/** The smallest packet of a request. */
export const LEAST_ECHO_BYTES = IP_HEADER_BYTES + ICMP_HEADER_BYTES +
  ECHO_NONCE_BYTES;

/** A reply to a request of this socket or of another program of this host. */
export interface EchoReply {
  readonly address: Ipv4;
  /** {@linkcode ECHO_NONCE_BYTES} bytes. */
  readonly nonce: Uint8Array;
  /** Of the packet, the IPv4 header included. */
  readonly packetBytes: number;
}

/** It does not wait: `descriptor` is for a `DescriptorWatch`. */
export interface EchoSocket extends Disposable {
  readonly descriptor: number;
  /**
   * Sends a request whose packet has so many bytes, {@linkcode LEAST_ECHO_BYTES} or
   * more. Returns the message's bytes or a negative errno.
   */
  send(destination: Ipv4, nonce: Uint8Array, packetBytes: number): number;
  /** The next reply. Throws {@linkcode SystemCallError}. */
  receive(): EchoReply | undefined;
}

/** A raw ICMP socket (man 7 raw) that gets echo replies alone. */
export class KernelEchoSocket implements EchoSocket {
  readonly descriptor: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  /**
   * @param address of this host, from which the requests come, and to which the
   * replies go; by default, those of the routes.
   * @throws {SystemCallError} without CAP_NET_RAW or that address.
   */
  constructor(address?: Ipv4) {
    this.descriptor = openIcmpSocket(~(1 << ECHO_REPLY));
    try {
      setSocketOption(
        this.descriptor,
        IPPROTO_IP,
        IP_MTU_DISCOVER,
        IP_PMTUDISC_PROBE,
      );
      if (address === undefined) return;
      const name = socketAddress(address, 0);
      checked(
        libc().bind(this.descriptor, addressOf(name), name.length),
        "bind an ICMP socket",
        "the address is no longer on this host",
      );
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  send(destination: Ipv4, nonce: Uint8Array, packetBytes: number): number {
    const message = new Uint8Array(packetBytes - IP_HEADER_BYTES);
    message[0] = ECHO_REQUEST;
    // Identifier and sequence number, which other programs' replies differ in.
    message.set(nonce.subarray(0, 4), 4);
    message.set(nonce, ICMP_HEADER_BYTES);
    new DataView(message.buffer).setUint16(2, internetChecksum(message));
    return sendTo(this.descriptor, destination, 0, message);
  }

  receive(): EchoReply | undefined {
    const buffer = this.#buffer;
    for (let read = 0; read < READS_PER_RECEIVE; read++) {
      const length = libc().recv(
        this.descriptor,
        addressOf(buffer),
        buffer.length,
        MSG_DONTWAIT,
      );
      if (length < 0) {
        const number = errno();
        if (number === ERRNO.EAGAIN) return undefined;
        if (number === ERRNO.EINTR) continue;
        throw new SystemCallError("receive an echo reply", number);
      }
      const reply = readReply(buffer.subarray(0, length));
      if (reply !== undefined) return reply;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    libc().close(this.descriptor);
  }
}

function readReply(packet: Uint8Array): EchoReply | undefined {
  if (packet.length < LEAST_ECHO_BYTES) return undefined;
  const at = (packet[0]! & 15) * 4;
  const nonceAt = at + ICMP_HEADER_BYTES;
  if (packet[at] !== ECHO_REPLY) return undefined;
  if (packet.length < nonceAt + ECHO_NONCE_BYTES) return undefined;
  return {
    address: ipv4FromBytes(packet, 12),
    nonce: packet.slice(nonceAt, nonceAt + ECHO_NONCE_BYTES),
    packetBytes: packet.length,
  };
}
