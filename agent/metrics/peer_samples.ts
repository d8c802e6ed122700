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
  const each = (
    value: (probe: NonNullable<PeerStatus["probe"]>) => number | null,
  ): Sample[] =>
    peers.flatMap(({ probe, subnet }) => {
      const found = probe === null ? null : value(probe);
      return found === null ? [] : [{ labels: { peer: subnet }, value: found }];
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
