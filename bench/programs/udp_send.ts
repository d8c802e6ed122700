/**
 * Sends 64-byte UDP payloads as fast as it can, 64 with a system call:
 * `udp_send.ts <address> <port> messages|segmented`. Prints `ready`, and then
 * answers each line of standard input, a number of milliseconds, with the
 * nanoseconds that a packet took. Whatever the kernel does with it on its way
 * through devices of the same machine is in that time.
 *
 * `segmented` gives the kernel one buffer for the 64, to be cut where the packet
 * leaves (`UDP_SEGMENT`, udp(7)), as QUIC does.
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

const PAYLOAD_BYTES = 64;
const PAYLOADS_PER_CALL = 64;
/** linux/udp.h. */
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

const [address, port, how] = Deno.args as [
  string,
  string,
  "messages" | "segmented",
];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
const destination = socketAddress(address, Number(port));
checked(
  c.connect(descriptor, addressOf(destination), destination.length),
  `connect to ${address}`,
);
const payloadsPerMessage = how === "segmented" ? PAYLOADS_PER_CALL : 1;
if (how === "segmented") {
  const segmentBytes = Int32Array.of(PAYLOAD_BYTES);
  checked(
    c.setsockopt(
      descriptor,
      SOL_UDP,
      UDP_SEGMENT,
      addressOf(segmentBytes),
      segmentBytes.byteLength,
    ),
    "set UDP_SEGMENT",
  );
}
const batch = messageBatch(
  PAYLOADS_PER_CALL / payloadsPerMessage,
  PAYLOAD_BYTES * payloadsPerMessage,
);

answerLines((milliseconds) => {
  const startMs = performance.now();
  let passedMs = 0;
  let sent = 0;
  while (passedMs < milliseconds) {
    sent += sendBatch() * payloadsPerMessage;
    passedMs = performance.now() - startMs;
  }
  return passedMs * 1e6 / sent;
});

function sendBatch(): number {
  const result = c.sendmmsg(descriptor, batch.address, batch.count, 0);
  if (result >= 0) return result;
  const number = errno();
  // A full queue, or an ICMP error for an earlier packet: send the next.
  if (number === ERRNO.ENOBUFS || number === ERRNO.ECONNREFUSED) return 0;
  throw new SystemCallError("send", number);
}
