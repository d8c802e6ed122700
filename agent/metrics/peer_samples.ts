/**
 * Metrics of single peers, for those who ask for them.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { PeerTraffic } from "../../net/peer.ts";
import type { Sample } from "./metric.ts";

/** What the kernel has counted for each peer that has counters of its own. */
export function peerTrafficSamples(traffic: readonly PeerTraffic[]) {
  const both = (
    value: (peer: PeerTraffic) => readonly [transmit: number, receive: number],
  ): Sample[] =>
    traffic.flatMap((each) => {
      const [transmit, receive] = value(each);
      const peer = formatCidr(each.subnet);
      return [
        { labels: { peer, direction: "transmit" }, value: transmit },
        { labels: { peer, direction: "receive" }, value: receive },
      ];
    });
  return {
    loden_peer_packets_total: both(({ rxPackets, txPackets }) => [
      txPackets,
      rxPackets,
    ]),
    loden_peer_bytes_total: both(({ rxBytes, txBytes }) => [txBytes, rxBytes]),
  };
}
