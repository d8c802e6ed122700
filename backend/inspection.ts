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
import { drop, type Finding, ok, unknown } from "../net/finding.ts";
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
    send: ({ rtnetlink }, { publicIp }, destination) => {
      const { gateway } = rtnetlink.routeTo(destination);
      return { findings: [gatewayFinding(gateway, publicIp)], ...outer };
    },
    receive: () => ({ findings: [], ...outer }),
  };
}

function gatewayFinding(gateway: Ipv4 | undefined, publicIp: Ipv4): Finding {
  const stage = "peer entry";
  const address = formatIpv4(publicIp);
  return gateway === publicIp
    ? { stage, ...ok(`the route leads to ${address}`) }
    : {
      stage,
      ...drop(
        `the route leads to ${
          gateway === undefined ? "no gateway" : formatIpv4(gateway)
        }, and the peer is at ${address}`,
        "systemctl restart loden",
      ),
    };
}

/** Of a backend whose packets are carried by what Loden cannot see. */
export function blindInspector(reason: string): Inspector {
  const blind = (): Inspection => ({
    findings: [{ stage: "peer entry", ...unknown(reason) }],
  });
  return { send: blind, receive: blind };
}
