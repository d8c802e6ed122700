/**
 * In which order the packets of each flow come.
 *
 * @module
 */

import { DF, PROTOCOLS } from "./packet_builder.ts";
import { sealIpHeader } from "./slow_packets.ts";

/**
 * For each flow, its packets in order, in hexadecimal. A packet whose ports are
 * not where they usually are (a fragment, a header with options) belongs to every
 * flow between its addresses: none may overtake it.
 *
 * The ID of a packet that is never fragmented says nothing (RFC 6864) and is
 * left out.
 */
export function byFlow(packets: readonly Uint8Array[]): Map<string, string[]> {
  const keys = new Set(packets.map(flowOf));
  return new Map(
    [...keys].sort().map((key) => [
      key,
      packets
        .filter((packet) => belongsTo(packet, key))
        .map((packet) => withoutIdleId(packet).toHex()),
    ]),
  );
}

function belongsTo(packet: Uint8Array, key: string): boolean {
  const own = flowOf(packet);
  return own === key || (hidesPorts(packet) && key.startsWith(own));
}

function flowOf(packet: Uint8Array): string {
  const between = packet.subarray(9, 10).toHex() +
    packet.subarray(12, 20).toHex();
  return hidesPorts(packet) ? between : between + packet.slice(20, 24).toHex();
}

function hidesPorts(packet: Uint8Array): boolean {
  const protocol = packet[9];
  if (protocol !== PROTOCOLS.tcp && protocol !== PROTOCOLS.udp) return true;
  return packet[0] !== 0x45 || (fragmentOf(packet) & 0x3fff) !== 0;
}

function fragmentOf(packet: Uint8Array): number {
  return (packet[6]! << 8) | packet[7]!;
}

function withoutIdleId(packet: Uint8Array): Uint8Array {
  if ((fragmentOf(packet) & DF) === 0) return packet;
  const copy = packet.slice();
  copy[4] = copy[5] = 0;
  sealIpHeader(copy);
  return copy;
}
