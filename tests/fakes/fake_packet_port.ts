/**
 * Devices in memory that take frames.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import type { PacketPort } from "../../linux/packet_socket.ts";

const ETHERNET_HEADER_BYTES = 14;

/** Has no device until one is plugged in. */
export class FakePacketPort implements PacketPort {
  /** Everything that was sent, in order. */
  readonly sent: { interfaceIndex: number; frame: Uint8Array }[] = [];
  readonly #devices = new Map<number, { mtuBytes: number; up: boolean }>();

  plugIn(interfaceIndex: number, mtuBytes = 1500, up = true): void {
    this.#devices.set(interfaceIndex, { mtuBytes, up });
  }

  sendFrame(interfaceIndex: number, frame: Uint8Array): number {
    const device = this.#devices.get(interfaceIndex);
    if (device === undefined) return -ERRNO.ENXIO;
    if (!device.up) return -ERRNO.ENETDOWN;
    if (frame.length < ETHERNET_HEADER_BYTES) return -ERRNO.EINVAL;
    if (frame.length > ETHERNET_HEADER_BYTES + device.mtuBytes) {
      return -ERRNO.EMSGSIZE;
    }
    this.sent.push({ interfaceIndex, frame: frame.slice() });
    return frame.length;
  }
}
