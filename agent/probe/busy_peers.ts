/**
 * Which peers have traffic: their probes come before those of the others.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { PeerTraffic } from "../../net/peer.ts";

/** More than the probes of both sides are between two looks. */
const LEAST_PACKETS = 32;

/** Compares two looks at the peers' counters. */
export class BusyPeers {
  #packets: ReadonlyMap<string, number> = new Map();

  /** The subnets of those with traffic since the last look. */
  look(traffic: readonly PeerTraffic[]): ReadonlySet<string> {
    const packets = new Map(
      traffic.map(({ rxPackets, subnet, txPackets }) => [
        formatCidr(subnet),
        rxPackets + txPackets,
      ]),
    );
    const busy = [...packets].filter(([key, now]) => {
      const before = this.#packets.get(key);
      return before !== undefined && now - before >= LEAST_PACKETS;
    });
    this.#packets = packets;
    return new Set(busy.map(([key]) => key));
  }
}
