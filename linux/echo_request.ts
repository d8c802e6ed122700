/**
 * Asking a host for an echo, to learn whether packets of a size reach it.
 *
 * @module
 */

import { internetChecksum } from "../net/checksum.ts";
import type { Ipv4 } from "../net/ipv4.ts";
import type { Clock } from "./clock.ts";
import { ERRNO } from "./errno.ts";
import {
  AF_INET,
  IPPROTO_IP,
  setSocketOption,
  socketAddress,
} from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const IPPROTO_ICMP = 1;
const MSG_DONTWAIT = 0x40;
const IP_MTU_DISCOVER = 10;
/** DF is set, and what the kernel has learnt of the path is not asked. */
const IP_PMTUDISC_PROBE = 3;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const IP_HEADER_BYTES = 20;
const ICMP_HEADER_BYTES = 8;
const BUFFER_BYTES = 2_048;
const ATTEMPTS = 3;
const LOOKS_PER_ATTEMPT = 6;
const LOOK_MS = 50;
/** Of other echoes and errors that a raw socket gets too. */
const READS_PER_LOOK = 256;

/** Whether an answer arrived. */
export type EchoAnswer = "arrived" | "none";

/**
 * Sends three echo requests of `bytes` bytes, IPv4 header included, that must not
 * be fragmented, within a second. Needs CAP_NET_RAW.
 *
 * Throws {@linkcode SystemCallError} when there can be no socket.
 */
export async function requestEcho(
  clock: Pick<Clock, "sleep">,
  address: Ipv4,
  bytes: number,
): Promise<EchoAnswer> {
  const c = libc();
  const descriptor = checked(
    c.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP),
    "create an ICMP socket",
    "run as root or with CAP_NET_RAW",
  );
  try {
    setSocketOption(
      descriptor,
      IPPROTO_IP,
      IP_MTU_DISCOVER,
      IP_PMTUDISC_PROBE,
    );
    const message = new Uint8Array(bytes - IP_HEADER_BYTES);
    const view = new DataView(message.buffer);
    view.setUint8(0, ECHO_REQUEST);
    // Nobody can answer who has not seen it.
    crypto.getRandomValues(message.subarray(4, 24));
    view.setUint16(2, internetChecksum(message));
    const name = socketAddress(address, 0);
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      c.sendto(
        descriptor,
        addressOf(message),
        message.length,
        0,
        addressOf(name),
        name.length,
      );
      for (let look = 0; look < LOOKS_PER_ATTEMPT; look++) {
        await clock.sleep(LOOK_MS, new AbortController().signal);
        for (let read = 0; read < READS_PER_LOOK; read++) {
          const length = c.recv(
            descriptor,
            addressOf(buffer),
            buffer.length,
            MSG_DONTWAIT,
          );
          if (length < 0) {
            if (errno() === ERRNO.EAGAIN) break;
            continue;
          }
          if (isReply(buffer.subarray(0, length), message)) return "arrived";
        }
      }
    }
    return "none";
  } finally {
    c.close(descriptor);
  }
}

function isReply(packet: Uint8Array, request: Uint8Array): boolean {
  const message = packet.subarray(((packet[0] ?? 0) & 15) * 4);
  if (message[0] !== ECHO_REPLY || message.length !== request.length) {
    return false;
  }
  return request.subarray(4, ICMP_HEADER_BYTES + 16)
    .every((byte, index) => message[4 + index] === byte);
}
