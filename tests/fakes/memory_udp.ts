/**
 * A UDP socket in memory.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import type { PacketMemory } from "../../linux/packet_memory.ts";
import type { UdpPort } from "../../linux/udp_socket.ts";
import { gather } from "../support/gather.ts";

/** One call that the socket has accepted. */
export interface SentBatch {
  readonly peer: number;
  /** In the order on the wire. */
  readonly datagrams: readonly Uint8Array[];
  readonly mayBeFragmented: boolean;
  /** Not limited by what routers have said of the path. */
  readonly isUnlimited: boolean;
}

interface Arrival {
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly segmentBytes: number;
}

const HEADER_BYTES = 28;
const DEVICE_MTU_BYTES = 1_500;
const MAX_DATAGRAM_BYTES = 65_507;
const MAX_SEGMENTS = 64;

/** See the module's text. */
export class MemoryUdp implements UdpPort {
  /** Every accepted call, in order. */
  readonly sent: SentBatch[] = [];
  receivedFrom = 0;
  readonly receivedInterface = 0;
  receivedSegmentBytes = 0;
  droppedBySocket = 0;
  /** Bytes of the largest packet on the way to each peer; 1500 by default. */
  readonly mtuBytes: Map<number, number> = new Map();
  readonly #memory: PacketMemory;
  readonly #unreachable = new Set<number>();
  readonly #arrivals: Arrival[] = [];
  readonly #refusals: number[] = [];
  #segmentationError = 0;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
  }

  /** The next sends fail with these error numbers; 0 lets one pass. */
  refuseSends(...errnos: number[]): void {
    this.#refusals.push(...errnos);
  }

  /** Every send of several datagrams fails with this error number. */
  refuseSegmentation(errno: number): void {
    this.#segmentationError = errno;
  }

  /** No route leads to this address. */
  makeUnreachable(peer: number): void {
    this.#unreachable.add(peer);
  }

  /** Datagrams of one length (but for the last) arrive at once. */
  arrive(from: number, ...datagrams: Uint8Array[]): void {
    this.#arrivals.push({
      from,
      bytes: Uint8Array.from(datagrams.flatMap((one) => [...one])),
      segmentBytes: datagrams[0]?.length ?? 0,
    });
  }

  /** Arrivals that have not been received yet. */
  get waiting(): number {
    return this.#arrivals.length;
  }

  send(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    return this.#send(peer, iovecs, count, segmentBytes, this.#mtuOf(peer));
  }

  sendFragmentable(peer: number, iovecs: number, count: number): number {
    return this.#send(peer, iovecs, count, 0, Infinity);
  }

  sendUnlimited(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    return this.#send(
      peer,
      iovecs,
      count,
      segmentBytes,
      Math.max(this.#mtuOf(peer), DEVICE_MTU_BYTES),
      true,
    );
  }

  pathMtuBytes(peer: number): number {
    if (this.#unreachable.has(peer)) return -ERRNO.ENETUNREACH;
    return this.#mtuOf(peer);
  }

  receive(offset: number, capacity: number): number {
    const arrival = this.#arrivals.shift();
    if (arrival === undefined) return -ERRNO.EAGAIN;
    const bytes = arrival.bytes.subarray(0, capacity);
    this.#memory.bytes.set(bytes, offset);
    this.receivedFrom = arrival.from;
    this.receivedSegmentBytes = arrival.segmentBytes;
    return bytes.length;
  }

  #send(
    peer: number,
    iovecs: number,
    count: number,
    segmentBytes: number,
    mtuBytes: number,
    isUnlimited = false,
  ): number {
    const refusal = this.#refusals.shift() ?? 0;
    if (refusal !== 0) return -refusal;
    if (this.#unreachable.has(peer)) return -ERRNO.ENETUNREACH;
    const bytes = gather(this.#memory, iovecs, count);
    if (bytes.length > MAX_DATAGRAM_BYTES) return -ERRNO.EMSGSIZE;
    const step = segmentBytes || Math.max(bytes.length, 1);
    if (segmentBytes !== 0) {
      if (this.#segmentationError !== 0) return -this.#segmentationError;
      if (bytes.length > segmentBytes * MAX_SEGMENTS) return -ERRNO.EINVAL;
    }
    const largest = Math.min(step, bytes.length);
    if (largest + HEADER_BYTES > mtuBytes) return -ERRNO.EMSGSIZE;
    const datagrams = bytes.length === 0 ? [bytes] : Array.from(
      { length: Math.ceil(bytes.length / step) },
      (_, index) => bytes.slice(index * step, (index + 1) * step),
    );
    const mayBeFragmented = mtuBytes === Infinity;
    this.sent.push({ peer, datagrams, mayBeFragmented, isUnlimited });
    return bytes.length;
  }

  #mtuOf(peer: number): number {
    return this.mtuBytes.get(peer) ?? DEVICE_MTU_BYTES;
  }
}
