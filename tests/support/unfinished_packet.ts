/**
 * TCP packets whose checksum the sender's kernel has left to be finished
 * (CHECKSUM_PARTIAL, `Documentation/networking/checksum-offloads.rst`).
 *
 * @module
 */

import {
  pseudoHeaderSum,
  type TcpFields,
  tcpPacket,
} from "./packet_builder.ts";

/** Its checksum is the sum of the pseudo header, which counts the whole length. */
export function unfinishedTcpPacket(fields: TcpFields): Uint8Array {
  const packet = tcpPacket(fields);
  const headerBytes = (packet[0]! & 15) * 4;
  new DataView(packet.buffer).setUint16(
    headerBytes + 16,
    pseudoHeaderSum(packet, packet.length - headerBytes),
  );
  return packet;
}
