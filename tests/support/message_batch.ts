/**
 * Many datagrams in one system call: the `mmsghdr` array of sendmmsg(2) and
 * recvmmsg(2).
 *
 * @module
 */

import { addressOf } from "../../linux/libc.ts";

/** sizeof(struct mmsghdr) and of struct iovec, 64-bit: bits/socket.h. */
const HEADER_BYTES = 64;
const VECTOR_BYTES = 16;
const IOV_OFFSET = 16;
const IOV_COUNT_OFFSET = 24;

/** Keep the object for as long as its address is in use. */
export interface MessageBatch {
  /** Of the first `mmsghdr`. */
  readonly address: number;
  readonly count: number;
  /** The payloads, one after the other, `payloadBytes` each. */
  readonly payloads: Uint8Array<ArrayBuffer>;
  readonly headers: DataView<ArrayBuffer>;
  readonly vectors: DataView<ArrayBuffer>;
}

/** `count` messages without address, each with a buffer of its own. */
export function messageBatch(
  count: number,
  payloadBytes: number,
): MessageBatch {
  const payloads = new Uint8Array(count * payloadBytes);
  const headers = new DataView(new ArrayBuffer(count * HEADER_BYTES));
  const vectors = new DataView(new ArrayBuffer(count * VECTOR_BYTES));
  const payloadAddress = addressOf(payloads);
  const vectorAddress = addressOf(vectors);
  for (let i = 0; i < count; i++) {
    const vector = i * VECTOR_BYTES;
    vectors.setBigUint64(
      vector,
      BigInt(payloadAddress + i * payloadBytes),
      true,
    );
    vectors.setBigUint64(vector + 8, BigInt(payloadBytes), true);
    const header = i * HEADER_BYTES;
    headers.setBigUint64(
      header + IOV_OFFSET,
      BigInt(vectorAddress + vector),
      true,
    );
    headers.setBigUint64(header + IOV_COUNT_OFFSET, 1n, true);
  }
  return { address: addressOf(headers), count, payloads, headers, vectors };
}
