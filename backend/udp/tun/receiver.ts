/**
 * From the peers to the TUN device.
 *
 * Nothing here allocates per packet: packets are in shared memory, the WASM
 * module works on them in place, and system calls get offsets.
 *
 * @module
 */

import { ERRNO } from "../../../linux/errno.ts";
import type { PacketMemory } from "../../../linux/packet_memory.ts";
import type { TunPort } from "../../../linux/tun.ts";
import type { UdpPort } from "../../../linux/udp_socket.ts";
import type { Arrivals } from "./arrivals.ts";
import type { IcmpResponder } from "./icmp_responder.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";

/** What the receiver needs of the socket. */
export type ReceivingPort = Pick<
  UdpPort,
  | "receive"
  | "receivedFrom"
  | "receivedInterface"
  | "receivedSegmentBytes"
  | "droppedBySocket"
>;

/** What the receiver needs; every part has a fake. */
export interface ReceiverParts {
  readonly memory: PacketMemory;
  readonly kernel: PacketKernel;
  readonly tun: Pick<TunPort, "write">;
  readonly udp: ReceivingPort;
  readonly icmp: IcmpResponder;
  /** Absent where every device may speak for every peer. */
  readonly arrivals?: Pick<Arrivals, "mayComeBy"> | undefined;
}

/** Rounds before the other direction has its turn. */
const ROUNDS_PER_TURN = 4;
/** Receives of less are delivered at once. */
const MERGE_WORTH_BYTES = 1024;
/** Of datagrams that come one by one; each is one call. */
const RECEIVES_PER_ROUND = 64;

/** Each receive has room for the largest. */
const LAST_RECEIVE_AT = layout.RX_BUFFER +
  (layout.RX_BUFFER_COUNT - 1) * layout.RX_BUFFER_BYTES;
/** Of vector loads in the WASM kernel. */
const ALIGNMENT_BYTES = 64;

/** See the module's text. */
export class Receiver {
  readonly #memory: PacketMemory;
  readonly #kernel: PacketKernel;
  readonly #tun: Pick<TunPort, "write">;
  readonly #udp: ReceivingPort;
  readonly #icmp: IcmpResponder;
  readonly #arrivals: Pick<Arrivals, "mayComeBy"> | undefined;
  #movedBytes = 0;
  #droppedBySocket = 0;
  /** The error number for which the device can no longer be written, or 0. */
  failure = 0;

  constructor(parts: ReceiverParts) {
    this.#memory = parts.memory;
    this.#kernel = parts.kernel;
    this.#tun = parts.tun;
    this.#udp = parts.udp;
    this.#icmp = parts.icmp;
    this.#arrivals = parts.arrivals;
  }

  /** Forwards until there is nothing more or others wait; the bytes received. */
  turn(): number {
    this.#movedBytes = 0;
    for (let round = 0; round < ROUNDS_PER_TURN; round++) {
      if (!this.#receiveRound()) break;
    }
    const dropped = this.#udp.droppedBySocket;
    if (dropped !== this.#droppedBySocket) {
      // The kernel's counter has 32 bits and wraps.
      const lost = (dropped - this.#droppedBySocket) >>> 0;
      this.#kernel.addCount(layout.RX_SOCKET_DROPPED, lost);
      this.#droppedBySocket = dropped;
    }
    return this.#movedBytes;
  }

  /**
   * Several receives whose packets are merged together: the sender's limit of
   * one send is just below a full super-packet, so the rest comes in the next;
   * and where nothing was merged on the way, each is one packet. They lie one
   * behind the other. Returns whether there may be more.
   */
  #receiveRound(): boolean {
    let more = true;
    let at = layout.RX_BUFFER;
    this.#kernel.beginReceive();
    for (
      let receives = 0;
      receives < RECEIVES_PER_ROUND && at <= LAST_RECEIVE_AT;
      receives++
    ) {
      const bytes = this.#udp.receive(at, layout.RX_BUFFER_BYTES);
      if (bytes < 0) {
        if (bytes !== -ERRNO.EAGAIN) {
          this.#kernel.addCount(layout.RX_RECEIVE_FAILED, 1);
        }
        more = false;
        break;
      }
      this.#movedBytes += bytes;
      this.#kernel.addCount(layout.RX_RECEIVES, 1);
      this.#admit(at, bytes);
      // A single small packet is probably awaited and must not be delayed.
      if (bytes < MERGE_WORTH_BYTES) break;
      at += (bytes + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
    }
    this.#writeRecords();
    return more;
  }

  #admit(at: number, bytes: number): void {
    const from = this.#udp.receivedFrom;
    const segmentBytes = this.#udp.receivedSegmentBytes || bytes;
    const device = this.#udp.receivedInterface;
    this.#memory.words[layout.RX_INTERFACE >> 2] = device;
    if (this.#arrivals?.mayComeBy(from, device) === false) {
      const datagrams = Math.max(1, Math.ceil(bytes / segmentBytes));
      this.#kernel.addCount(layout.RX_DROP_WRONG_INTERFACE, datagrams);
      this.#kernel.recordDrop(
        layout.RX_DROP_WRONG_INTERFACE,
        at,
        Math.min(bytes, segmentBytes),
        Math.min(bytes, segmentBytes),
        from,
      );
      return;
    }
    let done = this.#kernel.receive(at, bytes, segmentBytes, from);
    while (done < bytes) {
      // No room for more records: write those that there are.
      this.#writeRecords();
      this.#kernel.beginReceive();
      done += this.#kernel.receive(at + done, bytes - done, segmentBytes, from);
    }
  }

  #writeRecords(): void {
    const words = this.#memory.words;
    const records = this.#kernel.endReceive();
    for (let index = 0; index < records; index++) {
      this.#writeRecord(
        (layout.RX_RECORDS + index * layout.RX_RECORD_STRIDE) >> 2,
      );
    }
    const requests = words[layout.RESULT_ICMP_COUNT >> 2]!;
    for (let index = 0; index < requests; index++) {
      const request = (layout.ICMP_REQUESTS + index * 8) >> 2;
      this.#icmp.timeExceeded(words[request]!, words[request + 1]!);
    }
  }

  #writeRecord(record: number): void {
    const words = this.#memory.words;
    const written = this.#tun.write(
      words[record + (layout.RECORD_IOV >> 2)]!,
      words[record + (layout.RECORD_IOV_COUNT >> 2)]!,
    );
    if (written >= 0) return;
    // The first iovec is the header for the device.
    const packet = (words[record + (layout.RECORD_IOV >> 2)]! + 16) >> 2;
    const packetBytes = words[packet + 2]!;
    this.#kernel.recordDrop(
      layout.RX_DROP_DEVICE,
      (words[packet]! - this.#memory.address) >>> 0,
      packetBytes,
      packetBytes,
      0,
    );
    this.#kernel.addCount(
      layout.RX_DROP_DEVICE,
      words[record + (layout.RECORD_PACKETS >> 2)]!,
    );
    if (written === -ERRNO.EBADFD) this.failure = ERRNO.EBADFD;
  }
}
