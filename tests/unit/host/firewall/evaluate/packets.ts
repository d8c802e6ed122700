/**
 * Packets of a peer for a container of this host, whose subnet is 10.1.27.0/24.
 *
 * @module
 */

import {
  type BaseChain,
  type HookVerdict,
  passHook,
} from "../../../../../host/firewall/evaluate/chains.ts";
import type { TestPacket } from "../../../../../host/firewall/evaluate/test_packet.ts";
import { parseIpv4 } from "../../../../../net/ipv4.ts";

/** What may be different. */
export type PacketChange =
  & Partial<Omit<TestPacket, "source" | "destination">>
  & { readonly source?: string; readonly destination?: string };

/** An echo request that arrives on flannel0 for 10.1.27.2. */
export function arriving(
  hook: TestPacket["hook"],
  { destination = "10.1.27.2", source = "10.1.9.2", ...rest }: PacketChange =
    {},
): TestPacket {
  return {
    hook,
    arrivesOn: "flannel0",
    leavesBy: hook === "forward" ? "docker0" : undefined,
    source: parseIpv4(source)!,
    destination: parseIpv4(destination)!,
    protocol: 1,
    port: undefined,
    sizeBytes: 84,
    isLocal: (address) => address === parseIpv4("10.1.27.1"),
    isSourceRouted: true,
    ...rest,
  };
}

export function verdictAt(
  chains: readonly BaseChain[],
  packet: TestPacket,
): HookVerdict {
  return passHook(chains, packet);
}

export function verdictOf(
  chains: readonly BaseChain[],
  packet: TestPacket,
): HookVerdict["verdict"] {
  return verdictAt(chains, packet).verdict;
}
