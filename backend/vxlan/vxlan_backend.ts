/**
 * flannel's `vxlan` backend: a VXLAN device of the kernel's, with a permanent
 * neighbour, a forwarding entry and a route for each peer (flannel's
 * `pkg/backend/vxlan`).
 *
 * @module
 */

import type {
  ForwardingEntry,
  Neighbour,
  NewRoute,
  Rtnetlink,
} from "../../linux/netlink/rtnetlink.ts";
import { formatMac, parseMac } from "../../net/mac.ts";
import type { Peer } from "../../net/peer.ts";
import {
  KernelBackend,
  type KernelBackendParts,
  type KernelLayout,
  type RefusedPeer,
} from "../kernel_backend.ts";
import { directDevice } from "../direct_route.ts";
import { ROUTE_PROTOCOL } from "../reconcile/kernel_state.ts";
import { VxlanDevice, type VxlanDeviceParts } from "./vxlan_device.ts";
import { type VxlanBackendOptions, vxlanDeviceName } from "./vxlan_options.ts";

const TYPE = "vxlan";
const IPPROTO_UDP = 17;

/**
 * A backend that is not started yet. A device that flannel or an earlier run left
 * keeps its hardware address, which the peers know.
 */
export function createVxlanBackend(
  parts: KernelBackendParts & VxlanDeviceParts,
  options: VxlanBackendOptions,
): KernelBackend {
  const { rtnetlink } = parts;
  const name = vxlanDeviceName(options);
  // As of now: a device may appear between the lease and the start.
  const findMac = () => {
    const found = rtnetlink.links().find((link) =>
      link.name === name && link.kind === "vxlan"
    );
    return found?.mac.length === 6 ? found.mac : options.mac;
  };
  const advertise = (mac: Uint8Array) => ({
    backendType: TYPE,
    backendData: { VNI: options.vni, VtepMAC: formatMac(mac) },
  });
  return new KernelBackend(parts, advertise(findMac()), (context) => {
    const mac = findMac();
    const device = new VxlanDevice(parts, context, {
      ...options,
      mac,
      name,
    });
    return layoutOf(rtnetlink, device, options, advertise(mac));
  });
}

function layoutOf(
  rtnetlink: Rtnetlink,
  device: VxlanDevice,
  options: VxlanBackendOptions,
  advertisement: KernelLayout["advertisement"],
): KernelLayout {
  return {
    type: TYPE,
    dataPath: "kernel VXLAN",
    mtuBytes: device.mtuBytes,
    advertisement,
    traffic: [{ protocol: IPPROTO_UDP, port: options.port }],
    direct: options.directRouting,
    deviceName: device.name,
    ensureDevice: () => device.ensure(),
    plan(peers, interfaceIndex) {
      const routes: NewRoute[] = [];
      const neighbours: Neighbour[] = [];
      const forwarding: ForwardingEntry[] = [];
      const refused: RefusedPeer[] = [];
      for (const peer of peers) {
        const destination = peer.subnet;
        const direct = options.directRouting
          ? directDevice(rtnetlink, peer.publicIp)
          : undefined;
        if (direct !== undefined) {
          routes.push({
            destination,
            gateway: peer.publicIp,
            interfaceIndex: direct,
            protocol: ROUTE_PROTOCOL,
          });
          continue;
        }
        const mac = readVtepMac(peer);
        if (typeof mac === "string") {
          refused.push({ peer, reason: mac });
          continue;
        }
        const gateway = destination.address;
        neighbours.push({ interfaceIndex, address: gateway, mac });
        forwarding.push({ interfaceIndex, mac, remote: peer.publicIp });
        routes.push({
          destination,
          gateway,
          interfaceIndex,
          onlink: true,
          protocol: ROUTE_PROTOCOL,
        });
      }
      return { routes, neighbours, forwarding, refused };
    },
    details: () => ({
      vni: `${options.vni}`,
      port: `${options.port}`,
      mac: formatMac(device.mac),
      "inner checksums by the card": device.txChecksum,
    }),
  };
}

/** Field names are matched without regard to case, as Go does; or why not. */
function readVtepMac({ backendData }: Peer): Uint8Array | string {
  const fields = typeof backendData === "object" && backendData !== null
    ? Object.entries(backendData)
    : [];
  const value = fields.find(([name]) => name.toLowerCase() === "vtepmac")?.[1];
  const mac = typeof value === "string" ? parseMac(value) : undefined;
  return mac ??
    `the lease's BackendData must have a VtepMAC of six bytes: current value is ${
      JSON.stringify(value) ?? "none"
    }`;
}
