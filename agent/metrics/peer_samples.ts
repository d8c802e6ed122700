/**
 * Metrics of single peers, with `--metrics-peers`.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { PeerTraffic } from "../../net/peer.ts";
import type { PeerProbeState, PeerState } from "../status/state.ts";
import type { Sample } from "./metric.ts";

/** What probes say of each peer that they have something to say of. */
export function probeSamples(peers: Iterable<PeerState>, nowMs: number) {
  // One object of labels for all metrics of a peer: `exposition.ts`.
  const probed = [...peers].flatMap(({ probe, subnet }) =>
    probe === undefined ? [] : [{ probe, labels: { peer: subnet } }]
  );
  const each = (
    value: (probe: PeerProbeState) => number | undefined,
  ): Sample[] =>
    probed.flatMap(({ labels, probe }) => {
      const found = value(probe);
      return found === undefined ? [] : [{ labels, value: found }];
    });
  return {
    loden_peer_up: each(({ state }) =>
      state === "unknown" ? undefined : state === "reachable" ? 1 : 0
    ),
    loden_peer_rtt_seconds: each(({ rttMs }) =>
      rttMs && Math.round(rttMs * 1_000) / 1e6
    ),
    loden_peer_loss_ratio: each(({ lossRatio }) =>
      lossRatio && Math.round(lossRatio * 1_000) / 1_000
    ),
    loden_peer_mtu_bytes: each(({ mtuBytes }) => mtuBytes),
    loden_peer_last_seen_timestamp_seconds: each(({ answerAgeMs }) =>
      answerAgeMs === undefined
        ? undefined
        : Math.round(nowMs - answerAgeMs) / 1_000
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
