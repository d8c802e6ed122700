/**
 * Metrics of single peers, with `--metrics-peers`.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { PeerTraffic } from "../../net/peer.ts";
import type { PeerStatus } from "../status/state.ts";
import type { Sample } from "./metric.ts";

/** What probes say of each peer that they have something to say of. */
export function probeSamples(peers: readonly PeerStatus[]) {
  // One object of labels for all metrics of a peer: `exposition.ts`.
  const probed = peers.flatMap(({ probe, subnet }) =>
    probe === null ? [] : [{ probe, labels: { peer: subnet } }]
  );
  const each = (
    value: (probe: NonNullable<PeerStatus["probe"]>) => number | null,
  ): Sample[] =>
    probed.flatMap(({ labels, probe }) => {
      const found = value(probe);
      return found === null ? [] : [{ labels, value: found }];
    });
  return {
    loden_peer_up: each(({ state }) =>
      state === "unknown" ? null : state === "reachable" ? 1 : 0
    ),
    loden_peer_rtt_seconds: each(({ rttMs }) => rttMs && rttMs / 1_000),
    loden_peer_loss_ratio: each(({ lossRatio }) => lossRatio),
    loden_peer_mtu_bytes: each(({ mtuBytes }) => mtuBytes),
    loden_peer_last_seen_timestamp_seconds: each(({ lastAnswer }) =>
      lastAnswer === null ? null : Date.parse(lastAnswer) / 1_000
    ),
  };
}

/** What the kernel has counted for each peer that has counters of its own. */
export function peerTrafficSamples(traffic: readonly PeerTraffic[]) {
  const counted = traffic.map((counts) => {
    const peer = formatCidr(counts.subnet);
    return {
      counts,
      transmit: { peer, direction: "transmit" },
      receive: { peer, direction: "receive" },
    };
  });
  const both = (
    value: (peer: PeerTraffic) => readonly [transmit: number, receive: number],
  ): Sample[] =>
    counted.flatMap(({ counts, receive, transmit }) => {
      const [sent, received] = value(counts);
      return [
        { labels: transmit, value: sent },
        { labels: receive, value: received },
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
