/**
 * From the TUN device to the peers.
 *
 * Nothing here allocates per packet: packets are in shared memory, the WASM
 * module works on them in place, and system calls get offsets.
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import { ERRNO } from "../../../linux/errno.ts";
import type { PacketMemory } from "../../../linux/packet_memory.ts";
import type { TunPort } from "../../../linux/tun.ts";
import type { UdpPort } from "../../../linux/udp_socket.ts";
import { forbidsFragmentation } from "../../../net/icmp_error.ts";
import { UDP_ENCAPSULATION_BYTES } from "../../../net/mtu.ts";
import type { IcmpResponder } from "./icmp_responder.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";

/** What the transmitter needs; every part has a fake. */
export interface TransmitterParts {
  readonly memory: PacketMemory;
  readonly kernel: PacketKernel;
  readonly tun: Pick<TunPort, "read">;
  readonly udp: Omit<UdpPort, "receive">;
  readonly icmp: IcmpResponder;
  readonly clock: Pick<Clock, "monotonic">;
  /** Waits a moment for room in the socket's send buffer. */
  readonly waitForRoom: () => void;
}

/** How the transmitter works. */
export interface TransmitterOptions {
  /** Send many datagrams by one call (UDP_SEGMENT). */
  readonly segmentSends: boolean;
}

/** Reads before the other direction has its turn. */
const READS_PER_TURN = 64;
/** How often a send that finds the socket full is tried before it is given up. */
const SEND_ATTEMPTS = 20;
const IOVEC_BYTES = 16;
/**
 * Anyone can make the kernel learn a small path MTU. One below this is not
 * passed on to senders: outer packets leave without DF instead, so that routers
 * fragment them where the path really is that narrow. RFC 8200's minimum, as with
 * the kernel data path.
 */
const DOUBTED_BELOW_BYTES = 1_280;
/** Then the kernel is asked again. */
const DOUBT_MS = 10_000;

/** See the module's text. */
export class Transmitter {
  readonly #memory: PacketMemory;
  readonly #kernel: PacketKernel;
  readonly #tun: Pick<TunPort, "read">;
  readonly #udp: Omit<UdpPort, "receive">;
  readonly #icmp: IcmpResponder;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #waitForRoom: () => void;
  #segmentSends: boolean;
  /** Peers whose path MTU is doubted, and until when. */
  readonly #doubtedUntilMs = new Map<number, number>();
  /** The peer of the batch is one of them. */
  #isDoubted = false;
  #movedBytes = 0;
  /** The error number for which the device can no longer be read, or 0. */
  failure = 0;

  // The packets that were read and wait to leave in one send.
  #batchPackets = 0;
  #batchIovecs = 0;
  #batchBytes = 0;
  #batchPeer = 0;
  #batchSegmentBytes = 0;
  /** A packet shorter than the others may only be the last. */
  #batchClosed = false;
  /** Iovecs of each packet of the batch. */
  readonly #pieces = new Uint8Array(layout.MAX_SEGMENTS);

  constructor(parts: TransmitterParts, options: TransmitterOptions) {
    this.#memory = parts.memory;
    this.#kernel = parts.kernel;
    this.#tun = parts.tun;
    this.#udp = parts.udp;
    this.#icmp = parts.icmp;
    this.#clock = parts.clock;
    this.#waitForRoom = parts.waitForRoom;
    this.#segmentSends = options.segmentSends;
  }

  /** Forwards until there is nothing more or others wait; the bytes sent. */
  turn(): number {
    this.#movedBytes = 0;
    let slot = 0;
    for (let reads = 0; reads < READS_PER_TURN; reads++) {
      const bytes = this.#tun.read(slot);
      if (bytes < 0) {
        if (bytes !== -ERRNO.EAGAIN) this.failure = -bytes;
        break;
      }
      const at = layout.TX_BUFFER + slot * layout.TX_SLOT_BYTES;
      const packet = at + layout.VNET_HEADER_BYTES;
      const length = bytes - layout.VNET_HEADER_BYTES;
      switch (this.#kernel.transmit(at, packet, length)) {
        case layout.TRANSMIT_SINGLE:
          this.#addPacket(packet, length);
          break;
        case layout.TRANSMIT_SUPER:
          this.#addSuper();
          break;
        case layout.TRANSMIT_NO_PEER:
          this.#icmp.netUnreachable(packet, length);
          continue;
        case layout.TRANSMIT_TTL_EXCEEDED:
          this.#icmp.timeExceeded(packet, length);
          continue;
        default:
          continue;
      }
      // What waits in the batch lies in the slots and must not be read over.
      slot += Math.ceil(bytes / layout.TX_SLOT_BYTES);
      if (this.#batchPackets === 0) slot = 0;
      if (slot >= layout.TX_SLOTS) {
        this.#flush();
        slot = 0;
      }
    }
    this.#flush();
    return this.#movedBytes;
  }

  #addPacket(packet: number, length: number): void {
    const peer = this.#resultPeer();
    if (
      length > this.#batchSegmentBytes || peer !== this.#batchPeer ||
      this.#room(length) === 0
    ) {
      this.#flush();
      this.#beginBatch(peer, length);
    }
    this.#pieces[this.#batchPackets] = 1;
    this.#kernel.gather(this.#batchIovecs, packet, length);
    this.#batchPackets++;
    this.#batchIovecs++;
    this.#batchBytes += length;
    if (length < this.#batchSegmentBytes) this.#batchClosed = true;
  }

  /** The packets of the super-packet that the kernel has just looked at. */
  #addSuper(): void {
    const peer = this.#resultPeer();
    const segmentBytes = this.#memory.words[layout.RESULT_SEGMENT_BYTES >> 2]!;
    for (;;) {
      if (
        segmentBytes !== this.#batchSegmentBytes || peer !== this.#batchPeer ||
        this.#room(segmentBytes) === 0
      ) {
        this.#flush();
        this.#beginBatch(peer, segmentBytes);
      }
      const first = this.#batchPackets;
      const packets = this.#kernel.cut(
        first,
        this.#batchIovecs,
        this.#room(segmentBytes),
      );
      if (packets === 0) return;
      this.#pieces.fill(2, first, first + packets);
      const bytes = this.#memory.words[layout.RESULT_CUT_BYTES >> 2]!;
      this.#batchPackets += packets;
      this.#batchIovecs += 2 * packets;
      this.#batchBytes += bytes;
      if (bytes < packets * segmentBytes) this.#batchClosed = true;
    }
  }

  #resultPeer(): number {
    return this.#memory.words[layout.RESULT_PEER_ADDRESS >> 2]!;
  }

  /** How many packets of a length the batch can still take. */
  #room(length: number): number {
    if (this.#batchClosed) return 0;
    const packets = this.#segmentSends ? layout.MAX_SEGMENTS : 1;
    return Math.min(
      packets - this.#batchPackets,
      Math.floor((layout.MAX_SEND_BYTES - this.#batchBytes) / length),
    );
  }

  #beginBatch(peer: number, segmentBytes: number): void {
    this.#batchPeer = peer;
    this.#batchSegmentBytes = segmentBytes;
    this.#batchClosed = false;
  }

  /** Sends the batch. */
  #flush(): void {
    const packets = this.#batchPackets;
    if (packets === 0) return;
    const iovecs = this.#batchIovecs;
    this.#batchPackets = 0;
    this.#batchIovecs = 0;
    this.#batchBytes = 0;
    // The next packet begins a batch of its own length, whatever this one's was.
    this.#batchClosed = true;
    this.#isDoubted = this.#doubtedUntilMs.size > 0 && this.#isStillDoubted();
    if (packets > 1) {
      const sent = this.#trySend(
        layout.TX_IOV,
        iovecs,
        this.#batchSegmentBytes,
      );
      if (sent >= 0) return this.#countSent(packets, sent);
      if (sent === -ERRNO.EIO) {
        // The underlay device has no checksum offload, which segmentation
        // requires before Linux 6.2. That will not change, so do not try again.
        this.#segmentSends = false;
      } else if (sent !== -ERRNO.EMSGSIZE && sent !== -ERRNO.EINVAL) {
        return this.#countUnsent(
          packets,
          -sent,
          layout.TX_IOV,
          this.#pieces[0]!,
        );
      }
    }
    this.#sendOneByOne(packets);
  }

  #sendOneByOne(packets: number): void {
    let iovecs = layout.TX_IOV;
    let answeredFlow = 0;
    for (let packet = 0; packet < packets; packet++) {
      const pieces = this.#pieces[packet]!;
      let sent = this.#trySend(iovecs, pieces, 0);
      if (sent === -ERRNO.EMSGSIZE && !this.#isDoubted && this.#doubts()) {
        sent = this.#trySend(iovecs, pieces, 0);
      }
      if (sent === -ERRNO.EMSGSIZE) {
        const { at, length } = this.#firstPiece(iovecs);
        if (
          forbidsFragmentation(this.#memory.bytes.subarray(at, at + 20))
        ) {
          // One ICMP error is enough for all packets of a super-packet.
          const flow = this.#flowOf(at);
          if (flow !== answeredFlow) this.#answerTooBig(at, length);
          answeredFlow = flow;
          this.#kernel.addCount(layout.TX_DROP_TOO_BIG, 1);
          this.#record(layout.TX_DROP_TOO_BIG, iovecs, pieces);
          iovecs += pieces * IOVEC_BYTES;
          continue;
        }
        sent = this.#udp.sendFragmentable(this.#batchPeer, iovecs, pieces);
      }
      if (sent >= 0) this.#countSent(1, sent);
      else this.#countUnsent(1, -sent, iovecs, pieces);
      iovecs += pieces * IOVEC_BYTES;
    }
  }

  #isStillDoubted(): boolean {
    const untilMs = this.#doubtedUntilMs.get(this.#batchPeer);
    if (untilMs === undefined) return false;
    if (this.#clock.monotonic() < untilMs) return true;
    this.#doubtedUntilMs.delete(this.#batchPeer);
    return false;
  }

  /** Whether the path MTU of the batch's peer is too small to be believed. */
  #doubts(): boolean {
    const outerBytes = this.#udp.pathMtuBytes(this.#batchPeer);
    if (outerBytes < 0 || outerBytes >= this.#leastPathMtuBytes()) return false;
    this.#doubtedUntilMs.set(
      this.#batchPeer,
      this.#clock.monotonic() + DOUBT_MS,
    );
    this.#isDoubted = true;
    return true;
  }

  /** An underlay with a smaller MTU is not doubted. */
  #leastPathMtuBytes(): number {
    const mtuBytes = this.#memory.words[layout.CONFIG_MTU >> 2]!;
    return Math.min(DOUBTED_BELOW_BYTES, mtuBytes + UDP_ENCAPSULATION_BYTES);
  }

  #answerTooBig(packet: number, length: number): void {
    const outerBytes = this.#udp.pathMtuBytes(this.#batchPeer);
    if (outerBytes < 0) {
      // The route has gone in between: there is no size that would pass.
      this.#kernel.addCount(layout.ICMP_FAILED, 1);
      return;
    }
    this.#icmp.fragmentationNeeded(
      packet,
      length,
      Math.max(outerBytes, this.#leastPathMtuBytes()) -
        UDP_ENCAPSULATION_BYTES,
    );
  }

  /** A number that differs between most flows: addresses and ports, folded. */
  #flowOf(packet: number): number {
    const view = this.#memory.view;
    return (view.getUint32(packet + 12) ^ view.getUint32(packet + 16) ^
      view.getUint32(packet + 20)) >>> 0;
  }

  #firstPiece(iovecs: number): { at: number; length: number } {
    const words = this.#memory.words;
    return {
      at: (words[iovecs >> 2]! - this.#memory.address) >>> 0,
      length: words[(iovecs >> 2) + 2]!,
    };
  }

  #trySend(
    iovecs: number,
    count: number,
    segmentBytes: number,
  ): number {
    for (let attempt = 1;; attempt++) {
      const sent = this.#isDoubted
        ? this.#udp.sendUnlimited(
          this.#batchPeer,
          iovecs,
          count,
          segmentBytes,
        )
        : this.#udp.send(this.#batchPeer, iovecs, count, segmentBytes);
      if (sent !== -ERRNO.EAGAIN || attempt === SEND_ATTEMPTS) return sent;
      this.#kernel.addCount(layout.TX_SOCKET_FULL, 1);
      this.#waitForRoom();
    }
  }

  #countSent(packets: number, bytes: number): void {
    this.#movedBytes += bytes;
    this.#kernel.addCount(layout.TX_PACKETS, packets);
    this.#kernel.addCount(layout.TX_BYTES, bytes);
    this.#kernel.addCount(layout.TX_SENDS, 1);
    if (this.#isDoubted) {
      this.#kernel.addCount(layout.TX_PATH_MTU_DOUBTED, packets);
    }
  }

  /** The first packet only: others of a send are like it. */
  #record(reason: number, iovecs: number, pieces: number): void {
    const { at, length } = this.#firstPiece(iovecs);
    const payload = pieces > 1
      ? this.#firstPiece(iovecs + IOVEC_BYTES).length
      : 0;
    this.#kernel.recordDrop(
      reason,
      at,
      length,
      length + payload,
      this.#batchPeer,
    );
  }

  #countUnsent(
    packets: number,
    errorNumber: number,
    iovecs: number,
    pieces: number,
  ): void {
    let counter: number = layout.TX_DROP_REFUSED;
    switch (errorNumber) {
      case ERRNO.ENETUNREACH:
      case ERRNO.EHOSTUNREACH:
      case ERRNO.ENETDOWN:
        counter = layout.TX_DROP_UNREACHABLE;
        break;
      case ERRNO.EAGAIN:
      case ERRNO.ENOBUFS:
      case ERRNO.ENOMEM:
        counter = layout.TX_DROP_NO_BUFFER;
        break;
    }
    this.#kernel.addCount(counter, packets);
    this.#record(counter, iovecs, pieces);
  }
}
