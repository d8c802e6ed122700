/**
 * flannel's `ipip` backend: an ipip device of the kernel's, and a route for each
 * peer whose gateway is the outer destination (flannel's `pkg/backend/ipip`).
 *
 * @module
 */

import type { NewRoute, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import {
  KernelBackend,
  type KernelBackendParts,
  type KernelLayout,
} from "../kernel_backend.ts";
import { directDevice } from "../direct_route.ts";
import { ROUTE_PROTOCOL } from "../reconcile/kernel_state.ts";
import { IpipDevice } from "./ipip_device.ts";
import type { IpipOptions } from "./ipip_options.ts";

const TYPE = "ipip";
/** The protocol number of IPv4 in IPv4. */
const IPPROTO_IPIP = 4;

/** How an ipip backend works on this host. */
export interface IpipBackendOptions extends IpipOptions {
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
}

/** A backend that is not started yet. */
export function createIpipBackend(
  parts: KernelBackendParts,
  options: IpipBackendOptions,
): KernelBackend {
  const { rtnetlink } = parts;
  return new KernelBackend(
    parts,
    { backendType: TYPE },
    (context) =>
      layoutOf(
        rtnetlink,
        new IpipDevice(rtnetlink, context, options.deviceAlias),
        options,
      ),
  );
}

function layoutOf(
  rtnetlink: Rtnetlink,
  device: IpipDevice,
  { directRouting }: IpipOptions,
): KernelLayout {
  return {
    type: TYPE,
    dataPath: "kernel ipip",
    mtuBytes: device.mtuBytes,
    advertisement: { backendType: TYPE },
    traffic: [{ protocol: IPPROTO_IPIP }],
    direct: directRouting,
    deviceName: device.name,
    ensureDevice: () => device.ensure(),
    plan(peers, deviceIndex) {
      const routes = peers.map(({ publicIp, subnet }): NewRoute => {
        const direct = directRouting
          ? directDevice(rtnetlink, publicIp)
          : undefined;
        return {
          destination: subnet,
          gateway: publicIp,
          interfaceIndex: direct ?? deviceIndex,
          // The gateway is on the link of another device than the tunnel.
          onlink: direct === undefined,
          protocol: ROUTE_PROTOCOL,
        };
      });
      return { routes, neighbours: [], forwarding: [], refused: [] };
    },
    details: () => ({}),
  };
}
