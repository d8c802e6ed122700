/**
 * What `loden explain` asks the udp backend.
 *
 * @module
 */

import type { Bpf } from "../../linux/bpf/bpf.ts";
import { formatCidr } from "../../net/cidr.ts";
import { drop, type Finding, ok, unknown } from "../../net/finding.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import {
  type InspectedPeer,
  type Inspection,
  type InspectionHost,
  type Inspector,
  misdirected,
} from "../inspection.ts";
import { attachedProgram } from "./ebpf/attachments.ts";
import {
  decodePeer,
  MAPS,
  PEER_KEY_BYTES,
  type PeerEntry,
  peerKey,
} from "./ebpf/maps.ts";
import { findOverlayPair, type OverlayPair } from "./ebpf/overlay_pair.ts";
import { ownershipOf } from "./ebpf/ownership.ts";
import { programName } from "./ebpf/programs/programs.ts";

const IPPROTO_UDP = 17;
const RESTART = "systemctl restart loden";

/** Both data paths; the device tells which one runs. */
export function udpInspector(port: number): Inspector {
  const traffic = { protocol: IPPROTO_UDP, port };
  const inUserSpace: Inspection = {
    findings: [],
    traffic,
    checksSenders: true,
  };
  const inKernel = (
    host: InspectionHost,
    look: (bpf: Bpf, pair: OverlayPair) => Finding[],
  ): Inspection => {
    const pair = findOverlayPair(host.rtnetlink.links(), host.deviceAlias);
    if (pair === undefined) return inUserSpace;
    using bpf = host.openBpf();
    return {
      findings: look(bpf, pair),
      traffic,
      // The programs are before INPUT and behind OUTPUT.
      bypassesFirewall: true,
      checksSenders: true,
    };
  };
  return {
    send: (host, peer, destination) =>
      inKernel(host, (bpf, pair) => [
        attachedFinding(bpf, host, pair.device, "egress"),
        entryFinding(bpf, host, pair, peer, destination),
      ]),
    receive: (host, peer, underlay) =>
      inKernel(host, (bpf, pair) => {
        const link = host.rtnetlink.links().find(({ name }) =>
          name === underlay
        );
        return [
          link === undefined
            ? { stage: "program", ...unknown(`${underlay} is not there`) }
            : attachedFinding(bpf, host, link, "ingress"),
          entryFinding(bpf, host, pair, peer, peer.subnet.address),
        ];
      }),
  };
}

/** Whether a program of the network is at a device. */
function attachedFinding(
  bpf: Bpf,
  { deviceAlias }: InspectionHost,
  { index, name }: { readonly index: number; readonly name: string },
  role: "egress" | "ingress",
): Finding {
  const program = programName(role, ownershipOf(deviceAlias).suffix);
  const found = attachedProgram(bpf, index, role, program);
  return {
    stage: "program",
    ...found === undefined
      ? drop(`${program} is not attached to ${name}`, RESTART)
      : ok(`${program} is attached to ${name}`),
  };
}

/** What the programs find for an address. */
function entryFinding(
  bpf: Bpf,
  { bootTimeNs, deviceAlias }: InspectionHost,
  { hop }: OverlayPair,
  peer: InspectedPeer,
  address: Ipv4,
): Finding {
  const { publicIp, subnet } = peer;
  const stage = "peer entry";
  const program = programName("hop", ownershipOf(deviceAlias).suffix);
  const attached = attachedProgram(bpf, hop.index, "ingress", program);
  if (attached === undefined) {
    return {
      stage,
      ...drop(`${program} is not attached to ${hop.name}`, RESTART),
    };
  }
  const entry = readEntry(bpf, attached.id, address);
  if (entry === "unreadable") {
    return { stage, ...unknown(`the peers of ${program} cannot be read`) };
  }
  if (entry === undefined) {
    return {
      stage,
      ...drop(`the programs have no entry for ${formatCidr(subnet)}`, RESTART),
    };
  }
  const { deadlineNs } = entry;
  if (deadlineNs !== 0n && deadlineNs <= bootTimeNs()) {
    const ago = Number((bootTimeNs() - deadlineNs) / 1_000_000_000n);
    return {
      stage,
      ...drop(
        `the entry of ${formatCidr(subnet)} expired ${ago} s ago: no agent ` +
          "has confirmed it since",
        "start the agent (systemctl start loden), and see that it reaches etcd",
      ),
    };
  }
  if (entry.address !== publicIp) {
    const what = `the programs send to ${formatIpv4(entry.address)}`;
    return { stage, ...misdirected(peer, what) };
  }
  return {
    stage,
    ...ok(`${formatCidr(subnet)} is at ${formatIpv4(entry.address)}`),
  };
}

function readEntry(
  bpf: Bpf,
  programId: number,
  address: Ipv4,
): PeerEntry | undefined | "unreadable" {
  using program = bpf.openProgram(programId);
  for (const id of program?.mapIds ?? []) {
    using map = bpf.openMap(id);
    // Another version's map may have another layout.
    if (
      map?.name !== MAPS.loden_peers.name || map.keyBytes !== PEER_KEY_BYTES
    ) continue;
    const value = map.lookup(peerKey({ address, prefixLength: 32 }));
    return value && decodePeer(value);
  }
  return "unreadable";
}
