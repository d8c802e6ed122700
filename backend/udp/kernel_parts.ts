/**
 * The real components of the `udp` backend.
 *
 * @module
 */

import { DescriptorWatch } from "../../linux/descriptor_watch.ts";
import { bootTimeNs, type Clock } from "../../linux/clock.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { requestEcho } from "../../linux/echo_request.ts";
import { KernelEthtool } from "../../linux/ethtool.ts";
import { hasKernelModule } from "../../linux/kernel_module.ts";
import { KernelRtnetlinkMonitor } from "../../linux/netlink/kernel_rtnetlink_monitor.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { KernelIpsecMonitor } from "../../linux/netlink/ipsec_monitor.ts";
import { countIpsecPolicies } from "../../linux/netlink/xfrm.ts";
import { KernelPacketPort } from "../../linux/packet_socket.ts";
import { KernelPacketSteering } from "../../linux/packet_steering.ts";
import { KernelUnderlaySocket } from "../../linux/underlay_socket.ts";
import type { UdpBackendParts } from "./udp_backend.ts";

/**
 * The kernel's; `rtnetlink` and `clock` are the caller's. They hold a
 * descriptor as long as the process runs and are created once.
 */
export function kernelParts(
  rtnetlink: Rtnetlink & { readonly portId: number },
  clock: Clock,
): UdpBackendParts {
  return {
    rtnetlink,
    clock,
    ethtool: new KernelEthtool(),
    steering: new KernelPacketSteering(),
    openBpf: (options) => new KernelBpf(options),
    openSocket: (options) => new KernelUnderlaySocket(options),
    openPacketPort: () => new KernelPacketPort(),
    // Loden knows its own routes to peers, so they are not reported.
    openMonitor: () => new KernelRtnetlinkMonitor({ own: rtnetlink }),
    countIpsecPolicies,
    probePath: (address, bytes) => requestEcho(clock, address, bytes),
    openIpsecMonitor: () => new KernelIpsecMonitor(),
    watch: (descriptors) => new DescriptorWatch(descriptors),
    bootTimeNs,
    hasModule: (name) => hasKernelModule(name),
  };
}
