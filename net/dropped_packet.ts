/**
 * A packet that a data path has dropped, as far as it was recorded.
 *
 * @module
 */

import { type Ipv4, ipv4FromBytes } from "./ipv4.ts";

/** Addresses of an IPv4 packet, and ports where it has them. */
export interface PacketFlow {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** As in the header: 1 is ICMP, 6 TCP, 17 UDP; absent if it is not known. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** See the module. */
export interface DroppedPacket {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** The name of the counter that has counted it. */
  readonly reason: string;
  /** The device that it came by, or would have left by; absent if not known. */
  readonly device?: string;
  /** Of the whole packet, as `link` says; 0 if not known. */
  readonly lengthBytes: number;
  /** Whether `bytes` begin with an Ethernet or an IP header. */
  readonly link: "ethernet" | "ip";
  /** The first bytes. */
  readonly bytes: Uint8Array;
  /** The underlay's packet; absent if there was none, or none that is IPv4. */
  readonly outer?: PacketFlow;
  /** The overlay's packet; absent if it is not IPv4. */
  readonly inner?: PacketFlow;
}

/** Reports packets that a data path drops. */
export interface DropReader {
  /** The reasons that it can report. */
  readonly reasons: readonly string[];
  /** Of all packets. */
  readonly link: DroppedPacket["link"];
  /**
   * What was dropped since the last call. The first call begins to record. Call
   * it several times a second: only so many packets are kept in between, and of
   * a reason that is more frequent only some.
   */
  read(): readonly DroppedPacket[];
  /** Ends to record, until the next {@linkcode DropReader.read}. */
  end(): void;
}

/**
 * Whether a counter of this name counts packets that were dropped: for
 * `loden monitor`, metrics and the page (`agent/page/browser/rates.js`).
 */
export function isDropCounter(name: string): boolean {
  return name.includes(".drop.") || name === "rx.legacySignals";
}

/** TCP and UDP: their headers begin with both ports. */
const WITH_PORTS: readonly number[] = [6, 17];
const LEAST_HEADER_BYTES = 20;

/**
 * The flow of the IPv4 packet that begins with these bytes; `undefined` if they
 * are no IPv4 header. Lengths and checksums are not verified.
 */
export function readFlow(packet: Uint8Array): PacketFlow | undefined {
  if (packet.length < LEAST_HEADER_BYTES || packet[0]! >> 4 !== 4) {
    return undefined;
  }
  const headerBytes = ipHeaderBytes(packet);
  if (headerBytes < LEAST_HEADER_BYTES) return undefined;
  const protocol = packet[9]!;
  const flow = {
    source: ipv4FromBytes(packet, 12),
    destination: ipv4FromBytes(packet, 16),
    protocol,
  };
  const isLaterFragment = ((packet[6]! & 0x1f) | packet[7]!) !== 0;
  const hasPorts = WITH_PORTS.includes(protocol) && !isLaterFragment &&
    packet.length >= headerBytes + 4;
  if (!hasPorts) return flow;
  const view = new DataView(packet.buffer, packet.byteOffset);
  return {
    ...flow,
    sourcePort: view.getUint16(headerBytes),
    destinationPort: view.getUint16(headerBytes + 2),
  };
}

/** As the header says; it may say less than there must be. */
export function ipHeaderBytes(packet: Uint8Array): number {
  return (packet[0]! & 15) * 4;
}
