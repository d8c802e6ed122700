/**
 * Where the data path in the kernel decides otherwise than the one in user space,
 * on purpose, and why. Everything else must be the same.
 *
 * What else differs cannot be seen on a single packet of this kind: peers have
 * deadlines only in the kernel (`rx.drop.expired`, `tx.drop.expired`: agents end
 * there and packets go on), and ICMP errors come from the host's own routing.
 *
 * @module
 */

import { internetChecksum } from "../../net/checksum.ts";
import { type Ipv4, ipv4FromBytes } from "../../net/ipv4.ts";
import { isDamaged, isMartian, socketReceives } from "./host_socket.ts";
import { type Fate, SOCKET } from "./packet_paths.ts";

/** What user space would say of a datagram if the host handed it over. */
export type Judge = (sender: Ipv4, datagram: Uint8Array) => Fate;

/** One difference. */
export interface Difference {
  readonly what: string;
  readonly reason: string;
}

/** A frame whose headers are of the plain kind that the ingress program takes. */
interface TakenFrame {
  readonly packet: Uint8Array;
  readonly datagram: Uint8Array;
  readonly sender: Ipv4;
  /** The lengths of frame, IP header and UDP header agree. */
  readonly fits: boolean;
}

interface ReceiveDifference extends Difference {
  readonly fate: (frame: TakenFrame, judge: Judge) => Fate | undefined;
}

const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const UDP_BYTES = 8;
const LEAST_BYTES = ETHERNET_BYTES + IP_BYTES + UDP_BYTES;
const IPV4_TYPE = 0x0800;
const PLAIN_HEADER = 0x45;
const FRAGMENT_MASK = 0x3fff;
const UDP_PROTOCOL = 17;

const RECEIVE_DIFFERENCES: readonly ReceiveDifference[] = [
  {
    what: "the outer lengths contradict each other",
    reason:
      "the host shortens the datagram to what its UDP header says, or drops it " +
      "where only the host counts; the programs drop both as badLength, as no " +
      "sender's kernel makes such datagrams",
    fate: ({ fits }) => fits ? undefined : dropped("rx.drop.badLength"),
  },
  {
    what: "the outer UDP checksum is wrong",
    reason:
      "the host drops it; the programs would have to read the whole packet, which " +
      "has checksums of its own",
    fate: ({ datagram, packet, sender }, judge) =>
      isDamaged(datagram, packet)
        ? judge(sender, datagram.subarray(UDP_BYTES))
        : undefined,
  },
  {
    what: "the outer source is one that no host can have, or this host's own",
    reason:
      "the host's routing refuses it as a martian; the programs ask the leases, " +
      "which with the strict check refuse it as well",
    fate: ({ datagram, sender }, judge) =>
      isMartian(sender, SOCKET)
        ? judge(sender, datagram.subarray(UDP_BYTES))
        : undefined,
  },
];

/** Of both directions, after those. */
const TTL: Difference = {
  what: "the TTL is spent",
  reason:
    "user space takes one at each end as flannel does, beside the hosts' own " +
    "routing; the kernel path leaves it to the hosts' routing, as any link does",
};

const PROBE: Difference = {
  what: "a probe of an earlier version for a host with the user-space path",
  reason:
    "user space drops it, since its content also arrives in ordinary packets; to " +
    "the programs, which are not sent such probes, it is a packet as any other",
};

/** What user space drops and programs deliver, by the counter. */
const DROPPED_IN_USER_SPACE: Readonly<Record<string, Difference>> = {
  "rx.drop.ttl": TTL,
  "rx.legacySignals": PROBE,
};

/** All of them, to be read. */
export const DIFFERENCES: readonly Difference[] = [
  ...RECEIVE_DIFFERENCES,
  TTL,
  PROBE,
];

/** What programs must do with a frame, and by which differences, if any. */
export function expectedOnReceive(
  frame: Uint8Array,
  userSpace: Fate,
  judge: Judge,
): { fate: Fate; by: Difference[] } {
  const taken = takenFrame(frame);
  let fate = userSpace;
  const by: Difference[] = [];
  for (const difference of taken === undefined ? [] : RECEIVE_DIFFERENCES) {
    const other = difference.fate(taken!, judge);
    if (other === undefined) continue;
    fate = other;
    by.push(difference);
    break;
  }
  const only = DROPPED_IN_USER_SPACE[fate.outcome];
  if (only === undefined) return { fate, by };
  const packet = taken?.fits
    ? taken.datagram.slice(UDP_BYTES)
    : socketReceives(frame, SOCKET)!.payload;
  // A receipt is no packet, and both drop it.
  if (packet.length < IP_BYTES) return { fate, by };
  const { [fate.outcome]: _, ...counters } = fate.counters;
  return {
    fate: {
      outcome: "delivered",
      packet,
      counters: {
        ...counters,
        "rx.packets": 1,
        "rx.bytes": packet.length,
      },
    },
    by: [...by, only],
  };
}

/** The same for a packet of the host; `peer` is to whom it would go. */
export function expectedOnSend(
  packet: Uint8Array,
  userSpace: Fate,
  peer: Ipv4 | undefined,
): { fate: Fate; by: Difference[] } {
  if (userSpace.outcome !== "tx.drop.ttl" || peer === undefined) {
    return { fate: userSpace, by: [] };
  }
  return {
    fate: {
      outcome: "sent",
      packet,
      peer,
      counters: { "tx.packets": 1, "tx.bytes": packet.length },
    },
    by: [TTL],
  };
}

/** `undefined` for one that the ingress program leaves to the host. */
function takenFrame(frame: Uint8Array): TakenFrame | undefined {
  if (frame.length < LEAST_BYTES) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (!SOCKET.mac.every((byte, index) => frame[index] === byte)) {
    return undefined;
  }
  if (view.getUint16(ETHERNET_BYTES - 2) !== IPV4_TYPE) return undefined;
  const packet = frame.subarray(ETHERNET_BYTES);
  if (packet[0] !== PLAIN_HEADER || packet[9] !== UDP_PROTOCOL) {
    return undefined;
  }
  if ((view.getUint16(ETHERNET_BYTES + 6) & FRAGMENT_MASK) !== 0) {
    return undefined;
  }
  if (ipv4FromBytes(packet, 16) !== SOCKET.address) return undefined;
  const udpAt = ETHERNET_BYTES + IP_BYTES;
  if (view.getUint16(udpAt + 2) !== SOCKET.port) return undefined;
  if (internetChecksum(packet.subarray(0, IP_BYTES)) !== 0) return undefined;
  const totalBytes = view.getUint16(ETHERNET_BYTES + 2);
  return {
    packet,
    datagram: frame.subarray(udpAt, ETHERNET_BYTES + totalBytes),
    sender: ipv4FromBytes(packet, 12),
    fits: totalBytes <= packet.length && totalBytes >= IP_BYTES + UDP_BYTES &&
      view.getUint16(udpAt + 4) === totalBytes - IP_BYTES,
  };
}

function dropped(counter: string): Fate {
  return { outcome: counter, counters: { [counter]: 1 } };
}
