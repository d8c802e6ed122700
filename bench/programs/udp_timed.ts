/**
 * Sends 64-byte UDP payloads, as many as a line of standard input says, and
 * answers it with the nanoseconds that each took: `udp_timed.ts <address> <port>`.
 * Whatever the kernel does with a packet on its way through devices of the same
 * machine is in that time.
 *
 * @module
 */

import { addressOf, checked, libc } from "../../linux/libc.ts";
import { messageBatch } from "../../tests/support/message_batch.ts";
import {
  AF_INET,
  SOCK_DGRAM,
  socketAddress,
} from "../../tests/support/socket_address.ts";

const PAYLOAD_BYTES = 64;
const PAYLOADS_PER_CALL = 64;

const [address, port] = Deno.args as [string, string];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
const destination = socketAddress(address, Number(port));
checked(
  c.connect(descriptor, addressOf(destination), destination.length),
  `connect to ${address}`,
);
const batch = messageBatch(PAYLOADS_PER_CALL, PAYLOAD_BYTES);
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
for await (const line of lines) {
  const wanted = Number(line);
  const start = performance.now();
  for (let sent = 0; sent < wanted;) {
    sent += checked(
      c.sendmmsg(descriptor, batch.address, batch.count, 0),
      "send",
    );
  }
  const nanoseconds = (performance.now() - start) * 1e6 / wanted;
  console.log(nanoseconds.toFixed(1));
}
