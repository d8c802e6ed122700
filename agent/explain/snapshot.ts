/**
 * The facts about a host at one moment, as far as a packet needs them. Stages judge
 * them and read nothing else.
 *
 * @module
 */

import type { Inspection } from "../../backend/inspection.ts";
import type { HookVerdict } from "../../host/firewall/evaluate/chains.ts";
import type { PacketFate } from "../../host/firewall/trace/parse_trace.ts";
import type {
  Link,
  NeighbourEntry,
  RouteAnswer,
} from "../../linux/netlink/rtnetlink.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Finding } from "../../net/finding.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { HostDevices } from "../instance/own_devices.ts";
import type { Fact } from "./fact.ts";
import type { Flow } from "./flow.ts";

/** The overlay as this host's agent, or what it left, describes it. */
export interface OverlayFacts {
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly backendType: string;
  /** The device's name; `undefined` without one, or if it is not known. */
  readonly device: string | undefined;
  /** All devices of this network; during a change of backend there are several. */
  readonly devices: readonly string[];
  /** Whether the backend leaves the packets to others, as `alloc` does. */
  readonly isBlind: boolean;
  /** `undefined` without a running agent. */
  readonly underlay: {
    readonly interfaceName: string;
    readonly address: Ipv4;
    readonly publicIp: Ipv4;
  } | undefined;
  /** Whether traffic that leaves the overlay is masqueraded; `undefined`: unknown. */
  readonly masquerade: boolean | undefined;
  /** `--iptables-forward-rules`. */
  readonly forwardRules: boolean | undefined;
}

/** Where a route leads. */
export type Way =
  /** To this host itself. */
  | { readonly kind: "here" }
  /** Through a device of the overlay. */
  | { readonly kind: "overlay"; readonly link: Link }
  /** To a peer without encapsulation. */
  | { readonly kind: "direct"; readonly link: Link; readonly gateway: Ipv4 }
  /** To a machine on a link of this host, such as a container. */
  | { readonly kind: "link"; readonly link: Link }
  /** To a router. */
  | { readonly kind: "router"; readonly link: Link; readonly gateway: Ipv4 };

/** Another host, as the agent knows it. */
export interface PeerFacts {
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  readonly backendType: string;
  readonly stale: boolean;
  /** RFC 3339: when etcd last confirmed it. */
  readonly confirmed: string | null;
  /** As an agent that does not run has saved it. */
  readonly isSaved?: true;
  /** What probes of this host have seen of it. */
  readonly probe: ProbeFacts | undefined;
}

/** What probes say of a peer. */
export interface ProbeFacts {
  readonly state: "unknown" | "reachable" | "unreachable";
  /** Whether it has ever answered: some hosts answer no probes. */
  readonly hasAnswered: boolean;
  /** The largest packet that passes with DF; `undefined`: not known. */
  readonly largestBytes: number | undefined;
}

/** What the kernel answers to the question for a route. */
export type RouteFacts =
  | { readonly kind: "found"; readonly answer: RouteAnswer }
  | {
    readonly kind: "refused";
    readonly errno: number;
    readonly text: string;
  };

/** The network namespace that has an address. */
export interface ContainerFacts {
  readonly pid: number;
  /** `web` or the command's name. */
  readonly name: string;
  /** From inside, if this user may enter it. */
  readonly inside: Fact<{
    readonly route: RouteFacts;
    /** Of the device by which it leaves. */
    readonly mtuBytes: number | undefined;
    readonly deviceName: string;
    readonly isUp: boolean;
  }>;
}

/** The process with an address, if one was found. */
export interface ContainerSearch {
  readonly container: ContainerFacts | undefined;
  /** Whether every namespace could be searched. */
  readonly isComplete: boolean;
}

/** What the firewall does with the packet, before and behind the route. */
export interface FirewallFacts {
  readonly verdict: HookVerdict;
  readonly hook: string;
  /** Rules that exist, or may, and could not be read. */
  readonly unread: readonly string[];
}

/** The facts about the sending host. */
export interface SendSnapshot {
  readonly flow: Flow;
  readonly devices: Fact<HostDevices>;
  readonly overlay: Fact<OverlayFacts>;
  readonly peers: Fact<readonly PeerFacts[]>;
  /** The one that has the lease of the destination. */
  readonly peer: PeerFacts | undefined;
  /** `undefined`: the source is the host itself. */
  readonly container: Fact<ContainerSearch> | undefined;
  /** Whether a bridge carries it from one port to another, without a route. */
  readonly isBridged: boolean;
  /** By their names below /proc/sys; absent ones could not be read. */
  readonly settings: ReadonlyMap<string, string>;
  /** Whether the route to the source uses the device of the packet's arrival. */
  readonly isSourceRouted: boolean | undefined;
  readonly route: Fact<RouteFacts>;
  /** Where it leads; `undefined` without one. */
  readonly way: Way | undefined;
  /** `undefined`: it passes no rules. */
  readonly firewall: Fact<FirewallFacts> | undefined;
  /** `undefined`: no backend carries the packet. */
  readonly inspection: Fact<Inspection> | undefined;
  readonly outerRoute: Fact<RouteFacts> | undefined;
  readonly outerFirewall: Fact<FirewallFacts> | undefined;
  /**
   * Of the host or router to which the outer packet is sent next; `wasSilent`:
   * whether it had not answered before the peer was asked, either.
   */
  readonly neighbour:
    | Fact<
      {
        readonly entry: NeighbourEntry | undefined;
        readonly wasSilent: boolean;
      }
    >
    | undefined;
  /** How large the overlay's packets may be, given the underlay's route. */
  readonly mostBytes: number | undefined;
  /** With `--send`. */
  readonly echoes: Echoes | undefined;
  /** The same: of a packet that was sent as the flow's. */
  readonly trace: Fact<PacketFate> | undefined;
  /** What the other host's agent says; `undefined`: it was not asked. */
  readonly answer: Fact<readonly Finding[]> | undefined;
}

/** Packets that were sent, and whether an answer came. */
export interface Echoes {
  /** To the peer's PublicIP, of a few bytes. */
  readonly underlay: Fact<boolean>;
  /** The same of the size of the outer packet. */
  readonly underlayLarge: Fact<boolean>;
  /** To the peer's overlay address, of a few bytes. */
  readonly overlay: Fact<boolean>;
  /** The same of the packet's size. */
  readonly overlayLarge: Fact<boolean>;
}

/** The facts about the receiving host. */
export interface ReceiveSnapshot {
  readonly flow: Flow;
  /** From where the sender says that its outer packets come. */
  readonly outerSource: Ipv4 | undefined;
  readonly devices: Fact<HostDevices>;
  readonly overlay: Fact<OverlayFacts>;
  readonly peers: Fact<readonly PeerFacts[]>;
  readonly settings: ReadonlyMap<string, string>;
  readonly isSourceRouted: boolean | undefined;
  /** The device on which the inner packet arrives. */
  readonly arrivesOn: string | undefined;
  readonly inspection: Fact<Inspection> | undefined;
  readonly outerFirewall: Fact<FirewallFacts> | undefined;
  readonly route: Fact<RouteFacts>;
  readonly way: Way | undefined;
  readonly firewall: Fact<FirewallFacts>;
  readonly container: Fact<ContainerSearch> | undefined;
  readonly neighbour: Fact<NeighbourEntry | undefined> | undefined;
}
