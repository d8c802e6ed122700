/**
 * A TUN device in memory.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import type { PacketMemory } from "../../linux/packet_memory.ts";
import type { TunPort, TunPortLayout } from "../../linux/tun.ts";
import { gather } from "../support/gather.ts";
import {
  formatVnetHeader,
  parseVnetHeader,
  PLAIN,
  VNET_BYTES,
  type VnetHeader,
} from "../support/slow_packets.ts";

/** What a program has written to the device. */
export interface WrittenPacket {
  readonly vnet: VnetHeader;
  readonly packet: Uint8Array;
}

/** See the module's text. */
export class MemoryTun implements TunPort {
  /** Packets that were written and accepted. */
  readonly written: WrittenPacket[] = [];
  readonly #memory: PacketMemory;
  readonly #layout: TunPortLayout;
  readonly #queue: Uint8Array[] = [];
  #refusals: number[] = [];
  #deleted = false;

  constructor(memory: PacketMemory, layout: TunPortLayout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  /** The host sends a packet into the device. */
  enqueue(packet: Uint8Array, vnet: VnetHeader = PLAIN): void {
    this.#queue.push(Uint8Array.of(...formatVnetHeader(vnet), ...packet));
  }

  /** Packets that have not been read yet. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** The next writes fail with these error numbers, one after the other. */
  refuseWrites(...errnos: number[]): void {
    this.#refusals.push(...errnos);
  }

  /** Somebody deletes the device. */
  delete(): void {
    this.#deleted = true;
  }

  read(slot: number): number {
    if (this.#deleted) return -ERRNO.EBADFD;
    const packet = this.#queue.shift();
    if (packet === undefined) return -ERRNO.EAGAIN;
    const at = this.#layout.readStart + slot * this.#layout.readStride;
    if (slot < 0 || at >= this.#layout.readEnd) return -ERRNO.EFAULT;
    this.#memory.bytes.set(packet, at);
    return packet.length;
  }

  write(iovecs: number, count: number): number {
    if (this.#deleted) return -ERRNO.EBADFD;
    const refusal = this.#refusals.shift();
    if (refusal !== undefined) return -refusal;
    const whole = gather(this.#memory, iovecs, count);
    if (whole.length < VNET_BYTES) return -ERRNO.EINVAL;
    const packet = whole.slice(VNET_BYTES);
    const version = packet[0] === undefined ? 0 : packet[0] >> 4;
    if (version !== 4 && version !== 6) return -ERRNO.EINVAL;
    this.written.push({ vnet: parseVnetHeader(whole), packet });
    return whole.length;
  }
}
