/**
 * flannel's `host-gw` backend: a route to each peer's subnet, with the peer as
 * gateway. Nothing is encapsulated, so every peer must be on the underlay's link
 * (flannel's `pkg/backend/hostgw`).
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { NewRoute, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { overlayMtu } from "../../net/mtu.ts";
import type { Peer } from "../../net/peer.ts";
import type { BackendContext } from "../backend.ts";
import {
  KernelBackend,
  type KernelBackendParts,
  type KernelLayout,
  type RefusedPeer,
} from "../kernel_backend.ts";
import { ROUTE_PROTOCOL } from "../reconcile/kernel_state.ts";

const TYPE = "host-gw";

/**
 * The other hosts would route to an address that this host does not have. Its
 * code is `backend.public-ip`.
 */
export class PublicIpNotLocalError extends LodenError {
  readonly retryable = false;

  constructor(publicIp: Ipv4, underlay: BackendContext["underlay"]) {
    super(
      "backend.public-ip",
      `Cannot use the host-gw backend: the public address must be one of this host's: current value is ${
        formatIpv4(publicIp)
      }`,
      {
        hint: `leave --public-ip out (${
          formatIpv4(underlay.address)
        } is the address of ${underlay.interfaceName}), or use the vxlan backend`,
      },
    );
  }
}

/** A backend that is not started yet. */
export function createHostGwBackend(parts: KernelBackendParts): KernelBackend {
  return new KernelBackend(
    parts,
    { backendType: TYPE },
    (context) => layoutFor(parts.rtnetlink, context),
  );
}

function layoutFor(
  rtnetlink: Rtnetlink,
  context: BackendContext,
): KernelLayout {
  const { interfaceIndex, interfaceName, mtuBytes, publicIp } =
    context.underlay;
  if (!rtnetlink.addresses().some(({ address }) => address === publicIp)) {
    throw new PublicIpNotLocalError(publicIp, context.underlay);
  }
  return {
    type: TYPE,
    dataPath: "kernel routes",
    mtuBytes: overlayMtu(mtuBytes),
    advertisement: { backendType: TYPE },
    traffic: [],
    direct: true,
    deviceName: undefined,
    ensureDevice: () => ({ index: interfaceIndex, mended: [] }),
    plan(peers) {
      const routes: NewRoute[] = [];
      const refused: RefusedPeer[] = [];
      for (const peer of peers) {
        const reason = whyNotOnLink(rtnetlink, peer, interfaceName);
        if (typeof reason === "string") refused.push({ peer, reason });
        else {
          routes.push({
            destination: peer.subnet,
            gateway: peer.publicIp,
            interfaceIndex: reason.interfaceIndex,
            protocol: ROUTE_PROTOCOL,
          });
        }
      }
      return { routes, neighbours: [], forwarding: [], refused };
    },
    details: () => ({}),
  };
}

/** The device by which the peer is reached directly, or why it is not. */
function whyNotOnLink(
  rtnetlink: Rtnetlink,
  { publicIp }: Peer,
  interfaceName: string,
): string | { readonly interfaceIndex: number } {
  const address = formatIpv4(publicIp);
  try {
    const { gateway, interfaceIndex } = rtnetlink.routeTo(publicIp);
    if (gateway === undefined) return { interfaceIndex };
    return `${address} is behind the router ${
      formatIpv4(gateway)
    }, not on the link of ${interfaceName}`;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    return `there is no route to ${address}`;
  }
}
