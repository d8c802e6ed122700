/**
 * A host in memory on which kernel backends run.
 *
 * @module
 */

import type { Backend, BackendContext } from "../../../backend/backend.ts";
import type { KernelBackendParts } from "../../../backend/kernel_backend.ts";
import { type Cidr, equalCidr, parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { underlayMtu } from "../../../net/mtu.ts";
import type { Peer } from "../../../net/peer.ts";
import { FakeClock } from "../../fakes/fake_clock.ts";
import { FakeEthtool } from "../../fakes/fake_ethtool.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";
import { FakeRtnetlinkMonitor } from "../../fakes/fake_rtnetlink_monitor.ts";

/** What a test looks at, and a backend's parts. */
export interface KernelWorld {
  readonly rtnetlink: FakeRtnetlink;
  readonly clock: FakeClock;
  readonly monitor: FakeRtnetlinkMonitor;
  readonly ethtool: FakeEthtool;
  readonly parts: KernelBackendParts & { readonly ethtool: FakeEthtool };
  readonly context: BackendContext;
  readonly underlayIndex: number;
}

/** 192.0.2.11/24 on eth1, with a router at .1, and 10.1.27.0/24 of 10.1.0.0/16. */
export function kernelWorld(): KernelWorld {
  const rtnetlink = new FakeRtnetlink();
  const { index, mac } = rtnetlink.addLink({ name: "eth1", up: true });
  rtnetlink.addAddress(index, "192.0.2.11/24");
  rtnetlink.addRoute({
    destination: parseCidr("0.0.0.0/0")!,
    gateway: parseIpv4("192.0.2.1")!,
    interfaceIndex: index,
  });
  const clock = new FakeClock();
  const ethtool = new FakeEthtool();
  const monitor = new FakeRtnetlinkMonitor();
  const address = parseIpv4("192.0.2.11")!;
  return {
    rtnetlink,
    clock,
    monitor,
    ethtool,
    parts: { rtnetlink, clock, ethtool, openMonitor: () => monitor },
    underlayIndex: index,
    context: {
      network: parseCidr("10.1.0.0/16")!,
      subnet: parseCidr("10.1.27.0/24")!,
      underlay: {
        interfaceName: "eth1",
        interfaceIndex: index,
        address,
        publicIp: address,
        mtuBytes: underlayMtu(1500),
        mac,
      },
    },
  };
}

/** A peer of the backend type. */
export function peerOf(
  subnet: string,
  publicIp: string,
  backendType: string,
  backendData?: unknown,
): Peer {
  return {
    subnet: parseCidr(subnet)!,
    publicIp: parseIpv4(publicIp)!,
    backendType,
    stale: false,
    ...backendData === undefined ? {} : { backendData },
  };
}

/** Starts it and gives it its first peers. */
export async function startWith(
  backend: Backend,
  { context }: KernelWorld,
  peers: readonly Peer[],
): Promise<void> {
  await backend.start(context, new AbortController().signal);
  await backend.apply({ added: peers, changed: [], removed: [] });
}

/** Removes the unicast route to a subnet, as another program would. */
export function removeRoute(
  { rtnetlink }: KernelWorld,
  subnet: Cidr,
): boolean {
  const route = rtnetlink.routes().find(({ destination, type }) =>
    type === "unicast" && equalCidr(destination, subnet)
  );
  return route !== undefined &&
    rtnetlink.removeRoute({ destination: subnet, metric: route.metric });
}
