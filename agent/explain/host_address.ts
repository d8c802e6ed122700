/**
 * The overlay address that stands for a host.
 *
 * @module
 */

import type { Ipv4 } from "../../net/ipv4.ts";
import { probeAddress } from "../probe/probe_address.ts";
import { valueOf } from "./fact.ts";
import type { HostFacts } from "./gather_host.ts";
import type { PeerFacts } from "./snapshot.ts";

/**
 * An underlay address of a host of the overlay becomes its address in the overlay,
 * because the underlay is not Loden's. Any other address stays.
 */
export function overlayAddress(
  { overlay, peers }: HostFacts,
  address: Ipv4,
): Ipv4 {
  const own = valueOf(overlay);
  if (
    own?.underlay?.address === address || own?.underlay?.publicIp === address
  ) {
    return probeAddress(own.subnet, own.backendType);
  }
  const peer = valueOf(peers)?.find(({ publicIp }) => publicIp === address);
  return peer === undefined ? address : hostAddress(peer);
}

/** A peer's address in the overlay. */
export function hostAddress({ backendType, subnet }: PeerFacts): Ipv4 {
  return probeAddress(subnet, backendType);
}
