/**
 * What has become of the interface that carries the overlay.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { NetlinkError } from "../linux/netlink/errors.ts";
import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import { underlayMtu } from "../net/mtu.ts";
import type { Underlay } from "../net/underlay.ts";
import { InterfaceError, InterfaceMtuError } from "./interface_errors.ts";
import { InterfaceList } from "./interface_list.ts";
import {
  type InterfaceOptions,
  LEAST_MTU_BYTES,
  pickUnderlay,
} from "./interface_picker.ts";

/**
 * - `kept`: the interface has the address still; its name, MTU and hardware
 *   address are as they are now.
 * - `moved`: it has not, and the options now lead to this one.
 * - `unusable`: there is none at the moment, or it is down.
 */
export type UnderlayFinding =
  | { readonly kind: "kept" | "moved"; readonly underlay: Underlay }
  | { readonly kind: "unusable"; readonly reason: string };

/**
 * Looks at the underlay that is in use. As long as its interface has its address
 * nothing else is looked for: a default route that a VPN takes over, or an
 * interface that would come first now, must not move a host whose peers send to
 * where it is.
 *
 * @throws what is no matter of interfaces: a {@linkcode SystemCallError}.
 */
export function lookAtUnderlay(
  current: Underlay,
  options: InterfaceOptions,
  rtnetlink: Rtnetlink,
): UnderlayFinding {
  try {
    const host = InterfaceList.read(rtnetlink);
    const link = host.byIndex(current.interfaceIndex);
    const hasAddress = host.addresses.some(({ interfaceIndex, address }) =>
      interfaceIndex === current.interfaceIndex && address === current.address
    );
    if (link === undefined || !hasAddress) {
      return { kind: "moved", underlay: pickUnderlay(options, rtnetlink) };
    }
    if (!link.up) {
      const reason = `${link.name}, which has this host's address ` +
        `${formatIpv4(current.address)}, is down: ip link set ${link.name} up`;
      return { kind: "unusable", reason };
    }
    if (link.mtuBytes < LEAST_MTU_BYTES) {
      throw new InterfaceMtuError(link.name, link.mtuBytes, LEAST_MTU_BYTES);
    }
    const underlay = {
      ...current,
      interfaceName: link.name,
      mtuBytes: underlayMtu(link.mtuBytes),
      mac: link.mac,
    };
    return { kind: "kept", underlay };
  } catch (error) {
    const isExpected = error instanceof InterfaceError ||
      error instanceof NetlinkError;
    if (!isExpected) throw error;
    return { kind: "unusable", reason: describeError(error) };
  }
}
