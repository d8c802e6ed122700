/**
 * A host that a test makes up, as `loden explain` looks at it.
 *
 * @module
 */

import type { HostReader } from "../../agent/explain/host_reader.ts";
import type { ContainerSearch } from "../../agent/explain/snapshot.ts";
import type { Footprint } from "../../agent/instance/footprint.ts";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import type { Inspection } from "../../backend/inspection.ts";
import { LodenError } from "../../errors.ts";
import type { HostChains } from "../../host/firewall/evaluate/read_chains.ts";
import { iptablesBaseChains } from "../../host/firewall/evaluate/iptables_chains.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { RouteAnswer, RouteQuery } from "../../linux/netlink/rtnetlink.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import { FakeRtnetlink } from "./fake_rtnetlink.ts";

/** Shows nothing until it is told. */
export class FakeHostReader implements HostReader {
  readonly kernel = new FakeRtnetlink();
  /** Of packets to an address that arrive on a device, instead of a route. */
  readonly refusals = new Map<string, number>();
  readonly settings = new Map<string, string>();
  readonly containers = new Map<Ipv4, ContainerSearch>();
  snapshot: StatusSnapshot | undefined;
  left: Footprint | undefined;
  saved: readonly Peer[] | undefined;
  /** `iptables-save`; `undefined`: this user may not read it. */
  rules: string | undefined = "";
  inspection: Inspection | undefined;

  readonly rtnetlink: HostReader["rtnetlink"] = {
    links: () => this.kernel.links(),
    addresses: () => this.kernel.addresses(),
    neighbourEntries: (index) => this.kernel.neighbourEntries(index),
    routeTo: (destination, query) => this.#routeTo(destination, query),
  };

  #routeTo(destination: Ipv4, query: RouteQuery = {}): RouteAnswer {
    const errno = this.refusals.get(formatIpv4(destination));
    if (errno !== undefined && query.arrivesByIndex !== undefined) {
      throw new NetlinkError("find the route", errno);
    }
    return this.kernel.routeTo(destination, query);
  }

  status(): Promise<StatusSnapshot> {
    return Promise.try(() => this.snapshot ?? absent("no agent answers"));
  }

  footprint(): Promise<Footprint | undefined> {
    return Promise.resolve(this.left);
  }

  savedPeers(): Promise<readonly Peer[]> {
    return Promise.try(() => this.saved ?? absent("nothing is saved"));
  }

  setting(path: string): string | undefined {
    return this.settings.get(path);
  }

  chains(): Promise<HostChains> {
    return Promise.resolve({
      chains: iptablesBaseChains(this.rules ?? "", "iptables"),
      unread: this.rules === undefined ? ["iptables: not root"] : [],
    });
  }

  container(address: Ipv4): Promise<ContainerSearch> {
    return Promise.resolve(
      this.containers.get(address) ??
        { container: undefined, isComplete: true },
    );
  }

  inspect(): Inspection {
    return this.inspection ?? absent("not root");
  }

  mostBytes(_type: string, underlayMtuBytes: number): number {
    return underlayMtuBytes - 28;
  }
}

function absent(message: string): never {
  throw new LodenError("test.absent", message);
}
