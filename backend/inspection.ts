/**
 * What `loden explain` asks a backend: whether the kernel has what packets to and
 * from a peer need. Nothing is changed.
 *
 * @module
 */

import type { Bpf } from "../linux/bpf/bpf.ts";
import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import type { Wireguard } from "../linux/netlink/wireguard.ts";
import type { Cidr } from "../net/cidr.ts";
import {
  drop,
  type Finding,
  type Judgement,
  ok,
  unknown,
} from "../net/finding.ts";
import { formatIpv4, type Ipv4 } from "../net/ipv4.ts";
import type { OuterTraffic } from "../net/underlay.ts";

/** The host's kernel, as far as this user may look. */
export interface InspectionHost {
  readonly rtnetlink: Pick<
    Rtnetlink,
    "links" | "routeTo" | "neighbours" | "forwardingEntries"
  >;
  /** The alias that marks this network's devices. */
  readonly deviceAlias: string;
  /** CLOCK_BOOTTIME. */
  readonly bootTimeNs: () => bigint;
  /** Throws if the kernel does not let this user look. */
  readonly openBpf: () => Bpf;
  /** The same. */
  readonly openWireguard: () => Wireguard;
}

/** The host at the other end. */
export interface InspectedPeer {
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  /** As saved by an agent that does not run: the kernel may know better. */
  readonly isSaved?: true;
}

/** The kernel sends to another address than the peer's. */
export function misdirected(
  { publicIp, isSaved }: InspectedPeer,
  what: string,
): Judgement {
  const text = `${what}, and the peer is at ${formatIpv4(publicIp)}`;
  return isSaved
    ? unknown(`${text}, as far as is saved`)
    : drop(text, "systemctl restart loden");
}

/** What was found. */
export interface Inspection {
  readonly findings: readonly Finding[];
  /** Outer packets; absent where nothing is encapsulated. */
  readonly traffic?: OuterTraffic;
  /** Whether they do not pass the chains OUTPUT and INPUT of the hosts. */
  readonly bypassesFirewall?: true;
  /** Whether a packet whose outer source is no peer's is dropped. */
  readonly checksSenders?: boolean;
}

/** How a backend is inspected, towards a peer and from it. */
export interface Inspector {
  /** @param destination in the peer's subnet. */
  send(
    host: InspectionHost,
    peer: InspectedPeer,
    destination: Ipv4,
  ): Inspection;
  /** @param underlay name of the device by which the peer's packets arrive. */
  receive(
    host: InspectionHost,
    peer: InspectedPeer,
    underlay: string,
  ): Inspection;
}

/** Of a backend that gives the kernel a route to each peer's own address. */
export function gatewayInspector(traffic?: OuterTraffic): Inspector {
  const outer = traffic === undefined ? {} : { traffic };
  return {
    send: ({ rtnetlink }, peer, destination) => {
      const { gateway } = rtnetlink.routeTo(destination);
      return { findings: [gatewayFinding(gateway, peer)], ...outer };
    },
    receive: () => ({ findings: [], ...outer }),
  };
}

function gatewayFinding(
  gateway: Ipv4 | undefined,
  peer: InspectedPeer,
): Finding {
  const leads = `the route leads to ${
    gateway === undefined ? "no gateway" : formatIpv4(gateway)
  }`;
  return {
    stage: "peer entry",
    ...gateway === peer.publicIp ? ok(leads) : misdirected(peer, leads),
  };
}

/** Of a backend whose packets are carried by what Loden cannot see. */
export function blindInspector(reason: string): Inspector {
  const blind = (): Inspection => ({
    findings: [{ stage: "peer entry", ...unknown(reason) }],
  });
  return { send: blind, receive: blind };
}
