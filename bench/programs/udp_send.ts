/**
 * Sends 64-byte UDP payloads as fast as it can, 64 with a system call:
 * `udp_send.ts <address> <port> <seconds>`. Prints how many it sent.
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
const MESSAGES_PER_CALL = 64;

const [address, port, seconds] = Deno.args as [string, string, string];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
const destination = socketAddress(address, Number(port));
checked(
  c.connect(descriptor, addressOf(destination), destination.length),
  `connect to ${address}`,
);
const batch = messageBatch(MESSAGES_PER_CALL, PAYLOAD_BYTES);
const end = performance.now() + Number(seconds) * 1000;
let sent = 0;
while (performance.now() < end) {
  const result = c.sendmmsg(descriptor, batch.address, batch.count, 0);
  if (result >= 0) {
    sent += result;
    continue;
  }
  const number = errno();
  // A full queue, or an ICMP error for an earlier packet: send the next.
  if (number !== ERRNO.ENOBUFS && number !== ERRNO.ECONNREFUSED) {
    throw new SystemCallError("send", number);
  }
}
console.log(JSON.stringify({ sent }));
