/**
 * Counts UDP packets at the socket: `udp_receive.ts <address> <port> <seconds>`.
 * Prints `listening`, then, `seconds` after the first packet, the count.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { addressOf, checked, errno, libc } from "../../linux/libc.ts";
import { messageBatch } from "../../tests/support/message_batch.ts";
import {
  AF_INET,
  SOCK_DGRAM,
  socketAddress,
} from "../../tests/support/socket_address.ts";

const MESSAGES_PER_CALL = 256;
/** Longer payloads are cut: only their number counts. */
const KEPT_BYTES = 64;
/** Some milliseconds' worth, so that a busy CPU alone loses no packet here. */
const RECEIVE_BUFFER_BYTES = 32 << 20;
/** asm-generic/socket.h, linux/socket.h. */
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SO_RCVTIMEO = 20;
const MSG_WAITFORONE = 0x10000;
/** How long the first packet may take, and how often the clock is read. */
const FIRST_PACKET_MS = 10_000;
const WAKE_MICROSECONDS = 100_000;

const [address, port, seconds] = Deno.args as [string, string, string];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
setOption(SO_RCVBUFFORCE, Int32Array.of(RECEIVE_BUFFER_BYTES));
setOption(SO_RCVTIMEO, BigInt64Array.of(0n, BigInt(WAKE_MICROSECONDS)));
const local = socketAddress(address, Number(port));
checked(
  c.bind(descriptor, addressOf(local), local.length),
  `bind ${address}:${port}`,
);
console.log("listening");

const batch = messageBatch(MESSAGES_PER_CALL, KEPT_BYTES);
const windowMs = Number(seconds) * 1000;
let received = 0;
let end = performance.now() + FIRST_PACKET_MS;
for (;;) {
  const result = c.recvmmsg(
    descriptor,
    batch.address,
    batch.count,
    MSG_WAITFORONE,
    0,
  );
  const now = performance.now();
  if (result > 0 && received === 0) end = now + windowMs;
  if (now >= end) break;
  if (result > 0) received += result;
  else if (errno() !== ERRNO.EAGAIN) {
    throw new SystemCallError("receive", errno());
  }
}
console.log(JSON.stringify({ received, seconds: Number(seconds) }));

function setOption(
  name: number,
  value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>,
) {
  checked(
    c.setsockopt(
      descriptor,
      SOL_SOCKET,
      name,
      addressOf(value),
      value.byteLength,
    ),
    `set socket option ${name}`,
  );
}
