/**
 * Random and mutated packets, many a second, to a port:
 * `udp_storm.ts <address> <port> <count> <hexadecimal of a good packet>`. Prints
 * `{"sent":…}`.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../../../linux/errno.ts";
import { addressOf, checked, errno, libc } from "../../../linux/libc.ts";
import { messageBatch } from "../../support/message_batch.ts";
import {
  AF_INET,
  SOCK_DGRAM,
  socketAddress,
} from "../../support/socket_address.ts";

const MESSAGES_PER_CALL = 64;
const PAYLOAD_BYTES = 256;
/** Offset of `iov_len` within struct iovec, and the struct's size. */
const LENGTH_OFFSET = 8;
const VECTOR_BYTES = 16;

const [address, port, count, good] = Deno.args as [
  string,
  string,
  string,
  string,
];
const template = Uint8Array.fromHex(good);
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
const remote = socketAddress(address, Number(port));
checked(
  c.connect(descriptor, addressOf(remote), remote.length),
  `connect to ${address}`,
);

const batch = messageBatch(MESSAGES_PER_CALL, PAYLOAD_BYTES);
const random = new Uint8Array(65_536);
let at = random.length;
let sent = 0;
for (const total = Number(count); sent < total;) {
  const wanted = Math.min(MESSAGES_PER_CALL, total - sent);
  for (let i = 0; i < wanted; i++) fill(i);
  const result = c.sendmmsg(descriptor, batch.address, wanted, 0);
  if (result >= 0) sent += result;
  else if (errno() !== ERRNO.ENOBUFS && errno() !== ERRNO.ECONNREFUSED) {
    throw new SystemCallError("send", errno());
  }
}
console.log(JSON.stringify({ sent }));

/** Half of them are random, half are the good packet with some bytes changed. */
function fill(index: number): void {
  const start = index * PAYLOAD_BYTES;
  const payload = batch.payloads.subarray(start, start + PAYLOAD_BYTES);
  let length = byte();
  if (byte() < 128) {
    for (let i = 0; i < length; i++) payload[i] = byte();
  } else {
    payload.set(template);
    if (byte() < 128) length = template.length;
    for (let changes = 1 + byte() % 4; changes > 0; changes--) {
      payload[byte() % template.length] = byte();
    }
  }
  batch.vectors.setBigUint64(
    index * VECTOR_BYTES + LENGTH_OFFSET,
    BigInt(length),
    true,
  );
}

function byte(): number {
  if (at === random.length) {
    crypto.getRandomValues(random);
    at = 0;
  }
  return random[at++]!;
}
