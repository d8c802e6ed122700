/**
 * Addresses and options of Internet sockets.
 *
 * @module
 */

import { type Ipv4, ipv4FromBytes, ipv4ToBytes } from "../net/ipv4.ts";
import { addressOf, errno, libc } from "./libc.ts";

/** `linux/socket.h`. */
export const AF_INET = 2;

/** `linux/in.h`: level of a socket's option. */
export const IPPROTO_IP = 0;

/** Bytes of `struct sockaddr_in`. */
export const SOCKADDR_BYTES = 16;
const PORT_OFFSET = 2;
const ADDRESS_OFFSET = 4;

/** `struct sockaddr_in` of `linux/in.h`. */
export function socketAddress(
  address: Ipv4,
  port: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(PORT_OFFSET, port);
  bytes.set(ipv4ToBytes(address), ADDRESS_OFFSET);
  return bytes;
}

/** The `struct sockaddr_in` at `offset`; undefined when it is of another family. */
export function readSocketAddress(
  memory: DataView,
  offset: number,
): { address: Ipv4; port: number } | undefined {
  if (memory.getUint16(offset, true) !== AF_INET) return undefined;
  return {
    address: ipv4FromBytes(
      new Uint8Array(
        memory.buffer,
        memory.byteOffset + offset + ADDRESS_OFFSET,
        4,
      ),
    ),
    port: memory.getUint16(offset + PORT_OFFSET),
  };
}

/** Sets an option that is a structure; the result of setsockopt(2). */
export function setSocketOptionBytes(
  descriptor: number,
  level: number,
  option: number,
  value: DataView<ArrayBuffer>,
): number {
  return libc().setsockopt(
    descriptor,
    level,
    option,
    addressOf(value),
    value.byteLength,
  );
}

/**
 * Sets an option that is an `int`; the result of setsockopt(2), negative when the
 * kernel does not take it.
 */
export function setSocketOption(
  descriptor: number,
  level: number,
  option: number,
  value: number,
): number {
  const buffer = Int32Array.of(value);
  return libc().setsockopt(descriptor, level, option, addressOf(buffer), 4);
}

/** Sends one datagram: sendto(2). Returns its bytes or a negative errno. */
export function sendTo(
  descriptor: number,
  address: Ipv4,
  port: number,
  payload: Uint8Array,
): number {
  const name = socketAddress(address, port);
  const sent = libc().sendto(
    descriptor,
    addressOf(payload),
    payload.length,
    0,
    addressOf(name),
    name.length,
  );
  return sent < 0 ? -errno() : sent;
}
