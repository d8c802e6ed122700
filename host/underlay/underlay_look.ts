/**
 * Checks whether the underlay in use has changed.
 *
 * @module
 */

import { describeError } from "../../errors.ts";
import type { Link, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { underlayMtu } from "../../net/mtu.ts";
import type { Underlay } from "../../net/underlay.ts";
import { InterfaceError, InterfaceMtuError } from "./interface_errors.ts";
import { InterfaceList } from "./interface_list.ts";
import {
  type InterfaceOptions,
  LEAST_MTU_BYTES,
  pickUnderlay,
} from "./interface_picker.ts";

/** The result of a check. */
export type UnderlayFinding =
  | {
    /**
     * `same`: interface and address are those in use; the interface's name, MTU
     * and hardware address may have changed. `moved`: another address, another
     * interface, or a new interface with the same name.
     */
    readonly kind: "same" | "moved";
    readonly underlay: Underlay;
  }
  | {
    readonly kind: "unusable";
    /** For an operator. */
    readonly reason: string;
  };

/**
 * Looks for the underlay in use and chooses another one, by the rules of a
 * start, only if it is gone. A new interface is no reason to leave an underlay
 * that works.
 *
 * Throws `NetlinkError` if the kernel cannot be queried.
 */
export function lookAtUnderlay(
  current: Underlay,
  options: InterfaceOptions,
  rtnetlink: Rtnetlink,
): UnderlayFinding {
  const host = InterfaceList.read(rtnetlink);
  const link = host.byIndex(current.interfaceIndex);
  const isThere = link !== undefined &&
    host.usable(link).some(({ address }) => address === current.address);
  if (isThere && link.up && link.carrier) return stay(current, link);
  const other = choose(options, rtnetlink);
  if (other.kind === "unusable") {
    if (isThere) return unusable(whyDown(link));
    const { interfaceName } = current;
    return host.byName(interfaceName) === undefined
      ? unusable(`${interfaceName} is gone: ${other.reason}`)
      : other;
  }
  const { interfaceIndex, interfaceName } = other.underlay;
  const chosen = host.byIndex(interfaceIndex);
  // It appeared between the two reads; the next check will see it.
  if (chosen === undefined) {
    return unusable(`${interfaceName} has just appeared`);
  }
  if (chosen.up && chosen.carrier) return other;
  return unusable(whyDown(isThere ? link : chosen));
}

function stay(current: Underlay, link: Link): UnderlayFinding {
  if (link.mtuBytes < LEAST_MTU_BYTES) {
    return unusable(describeError(
      new InterfaceMtuError(link.name, link.mtuBytes, LEAST_MTU_BYTES),
    ));
  }
  return {
    kind: "same",
    underlay: {
      ...current,
      interfaceName: link.name,
      mtuBytes: underlayMtu(link.mtuBytes),
      mac: link.mac,
    },
  };
}

function choose(
  options: InterfaceOptions,
  rtnetlink: Rtnetlink,
): UnderlayFinding {
  try {
    return { kind: "moved", underlay: pickUnderlay(options, rtnetlink) };
  } catch (error) {
    if (!(error instanceof InterfaceError)) throw error;
    return unusable(describeError(error));
  }
}

function whyDown({ name, up }: Link): string {
  return up
    ? `${name} must have a carrier: check its cable and the other end`
    : `${name} must be up: ip link set ${name} up`;
}

function unusable(reason: string): UnderlayFinding {
  return { kind: "unusable", reason };
}
