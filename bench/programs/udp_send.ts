/**
 * Sends 64-byte UDP payloads as fast as it can, 64 with a system call:
 * `udp_send.ts <address> <port> <seconds> messages|segmented`. Prints how many
 * it sent.
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

const PAYLOAD_BYTES = 64;
const PAYLOADS_PER_CALL = 64;
/** linux/udp.h. */
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

const [address, port, seconds, how] = Deno.args as [
  string,
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
const end = performance.now() + Number(seconds) * 1000;
let sent = 0;
while (performance.now() < end) {
  const result = c.sendmmsg(descriptor, batch.address, batch.count, 0);
  if (result >= 0) {
    sent += result * payloadsPerMessage;
    continue;
  }
  const number = errno();
  // A full queue, or an ICMP error for an earlier packet: send the next.
  if (number !== ERRNO.ENOBUFS && number !== ERRNO.ECONNREFUSED) {
    throw new SystemCallError("send", number);
  }
}
console.log(JSON.stringify({ sent }));
