/**
 * Counts UDP packets at the socket: `udp_receive.ts <address> <port>`. Prints
 * `ready`, and then answers each line of standard input, a number of
 * milliseconds, with the packets a second of that time. The time begins with the
 * next packet.
 *
 * It sleeps by the clock and is never woken by a packet. To wake a processor
 * takes longer than any path, and happens at times for each packet and at times
 * for a hundred.
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
import { answerLines } from "./answer_lines.ts";

const MESSAGES_PER_CALL = 256;
/** Longer payloads are cut: only their number counts. */
const KEPT_BYTES = 64;
/** Some milliseconds' worth, so that a busy CPU alone loses no packet here. */
const RECEIVE_BUFFER_BYTES = 32 << 20;
const PAUSE_MS = 1;
/** What comes later belongs to the next count. */
const QUIET_MS = 5;
const FIRST_PACKET_MS = 10_000;
/** A receiver that is slower than the sender never reads all. */
const CATCH_UP_MS = 10;
/** asm-generic/socket.h, linux/socket.h. */
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;

const [address, port] = Deno.args as [string, string];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
const bufferBytes = Int32Array.of(RECEIVE_BUFFER_BYTES);
checked(
  c.setsockopt(
    descriptor,
    SOL_SOCKET,
    SO_RCVBUFFORCE,
    addressOf(bufferBytes),
    bufferBytes.byteLength,
  ),
  "set the size of the receive buffer",
);
const local = socketAddress(address, Number(port));
checked(
  c.bind(descriptor, addressOf(local), local.length),
  `bind ${address}:${port}`,
);
const batch = messageBatch(MESSAGES_PER_CALL, KEPT_BYTES);

let isEmpty = true;

answerLines((milliseconds) => {
  const startMs = firstPacketsMs();
  let received = 0;
  let lastMs = startMs;
  for (let nowMs = startMs; nowMs - startMs < milliseconds;) {
    const count = receive();
    nowMs = performance.now();
    if (count > 0) [received, lastMs] = [received + count, nowMs];
  }
  for (let endMs = lastMs + QUIET_MS; performance.now() < endMs;) {
    if (receive() > 0) endMs = performance.now() + QUIET_MS;
  }
  return received === 0 ? 0 : received / (lastMs - startMs) * 1000;
});

/** When the first packets had come, and all of them were read if possible. */
function firstPacketsMs(): number {
  const endMs = performance.now() + FIRST_PACKET_MS;
  while (receive() === 0) {
    if (performance.now() > endMs) throw new Error("No packet has arrived");
  }
  const caughtUpMs = performance.now() + CATCH_UP_MS;
  while (!isEmpty && performance.now() < caughtUpMs) receive();
  return performance.now();
}

/** How many have come since the last time, as far as one call takes them. */
function receive(): number {
  if (isEmpty) c.poll(0, 0, PAUSE_MS);
  const count = c.recvmmsg(
    descriptor,
    batch.address,
    batch.count,
    MSG_DONTWAIT,
    0,
  );
  if (count < 0 && errno() !== ERRNO.EAGAIN) {
    throw new SystemCallError("receive", errno());
  }
  isEmpty = count < batch.count;
  return Math.max(count, 0);
}
