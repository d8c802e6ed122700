/**
 * How facts about a host are gathered: all that `loden explain` reads, behind one
 * interface.
 *
 * @module
 */

import type { InspectedPeer, Inspection } from "../../backend/inspection.ts";
import type { HostChains } from "../../host/firewall/evaluate/read_chains.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import type { Footprint } from "../instance/footprint.ts";
import type { StatusSnapshot } from "../status/status_snapshot.ts";
import type { ContainerSearch } from "./snapshot.ts";

/** What a method cannot see, it throws. */
export interface HostReader {
  /** Of the running agent. */
  status(): Promise<StatusSnapshot>;
  /** What the last agent has left; `undefined` if there is none. */
  footprint(): Promise<Footprint | undefined>;
  /** The peers that the last agent has saved. */
  savedPeers(): Promise<readonly Peer[]>;
  readonly rtnetlink: Pick<
    Rtnetlink,
    "links" | "addresses" | "routeTo" | "neighbourEntries"
  >;
  /** A value below /proc/sys; `undefined` if there is none to read. */
  setting(path: string): string | undefined;
  /** All rules that see IPv4 packets. */
  chains(signal: AbortSignal): Promise<HostChains>;
  /**
   * The process in whose network namespace an address is, behind one of this
   * host's bridges.
   *
   * @param destination to which its route is looked up.
   */
  container(address: Ipv4, destination: Ipv4): Promise<ContainerSearch>;
  /** What the backend of that type has set up. */
  inspect(request: InspectionRequest): Inspection;
  /** The largest inner packet that an underlay of that MTU carries. */
  mostBytes(backendType: string, underlayMtuBytes: number): number | undefined;
}

/** Towards a peer, or from it. */
export type InspectionRequest =
  & { readonly backendType: string; readonly peer: InspectedPeer }
  & (
    | { readonly direction: "send"; readonly destination: Ipv4 }
    | { readonly direction: "receive"; readonly underlay: string }
  );
