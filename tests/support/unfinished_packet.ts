/**
 * TCP packets whose checksum the sender's kernel has left to be finished
 * (CHECKSUM_PARTIAL, `Documentation/networking/checksum-offloads.rst`).
 *
 * @module
 */

import { pseudoHeaderSum } from "./packet_builder.ts";

/** Makes the checksum of a TCP packet the sum of its pseudo header. */
export function unfinishedTcpPacket(packet: Uint8Array): Uint8Array {
  const unfinished = packet.slice();
  const headerBytes = (packet[0]! & 15) * 4;
  new DataView(unfinished.buffer).setUint16(
    headerBytes + 16,
    pseudoHeaderSum(packet, packet.length - headerBytes),
  );
  return unfinished;
}
