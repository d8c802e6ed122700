/**
 * What the devices of kernel backends have in common.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { ERRNO } from "../linux/errno.ts";
import { hasKernelModule } from "../linux/kernel_module.ts";
import { moduleMissing, NetlinkError } from "../linux/netlink/errors.ts";
import type { Link, Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { contains } from "../net/cidr.ts";
import type { OverlayMtu } from "../net/mtu.ts";
import type { BackendContext } from "./backend.ts";
import { BackendStartError } from "./errors.ts";

/** A device as it should be. */
export interface TunnelDevice {
  readonly name: string;
  /** The kernel's name of the kind, and of the module that has it. */
  readonly kind: string;
  /** The alias that marks the device as this network's. */
  readonly alias: string;
  readonly mtuBytes: OverlayMtu;
}

/** Every alias of Loden's begins like this; flannel's devices have none. */
const ALIAS = /^loden:/;

/**
 * The device of this network, or flannel's, if there is one.
 *
 * @throws {BackendStartError} if something else has the name. Two networks with the
 * same backend have devices of one name, and cannot share it.
 */
export function findTunnelDevice(
  rtnetlink: Rtnetlink,
  { alias, kind, name }: TunnelDevice,
  hint: string,
): Link | undefined {
  const link = rtnetlink.links().find((each) => each.name === name);
  if (link === undefined) return undefined;
  if (link.kind !== kind) {
    throw tunnelDeviceTaken(name, `a ${link.kind} device`, hint);
  }
  if (ALIAS.test(link.alias) && link.alias !== alias) {
    throw tunnelDeviceTaken(
      name,
      `the device of another network (${link.alias})`,
      hint,
    );
  }
  return link;
}

/**
 * Gives an existing device its alias, its MTU and the subnet's first address, and
 * sets it up.
 *
 * @returns what was wrong.
 */
export function mendTunnelDevice(
  rtnetlink: Rtnetlink,
  link: Link,
  { alias, mtuBytes }: TunnelDevice,
  { network, subnet }: BackendContext,
): string[] {
  const { index } = link;
  const mended: string[] = [];
  if (link.alias !== alias) rtnetlink.changeLink(index, { alias });
  if (link.mtuBytes !== mtuBytes) {
    mended.push(`MTU ${link.mtuBytes}`);
    rtnetlink.changeLink(index, { mtuBytes });
  }
  const address = { address: subnet.address, prefixLength: 32 };
  if (rtnetlink.ensureAddress(index, address)) mended.push("address");
  // Then: with its last address a device loses its routes and neighbours.
  for (const other of rtnetlink.addresses()) {
    // What an earlier lease left; other programs' addresses stay.
    if (
      other.interfaceIndex === index && other.address !== subnet.address &&
      contains(network, other.address)
    ) rtnetlink.removeAddress(index, other);
  }
  if (!link.up) {
    mended.push("down");
    rtnetlink.changeLink(index, { up: true });
  }
  return mended;
}

/**
 * Creates a device.
 *
 * @param taken what else may be in use already, and what to do about it.
 * @throws {BackendStartError}
 */
export function createTunnelDevice(
  { kind, name }: Pick<TunnelDevice, "kind" | "name">,
  taken: { readonly what: string; readonly hint: string },
  create: () => Link,
): Link {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    switch (error.errno) {
      case ERRNO.EEXIST:
        throw tunnelDeviceTaken(name, taken.what, taken.hint, error);
      case ERRNO.EOPNOTSUPP:
        throw tunnelModuleMissing(name, kind, error);
      default:
        throw new BackendStartError(error);
    }
  }
}

/** The kernel has no devices of the kind; that may change while the agent waits. */
export function tunnelModuleMissing(
  name: string,
  kind: string,
  cause?: NetlinkError,
): BackendStartError {
  return new BackendStartError(
    moduleMissing(`create the device ${name}`, ERRNO.EOPNOTSUPP, kind, {
      hint: ", or use another backend",
      ...cause === undefined ? {} : { cause },
    }),
  );
}

/** What the kernel lacks for a device, as far as can be seen before it is made. */
export function tunnelObstacle(name: string, kind: string): string | undefined {
  return hasKernelModule(kind) === false
    ? describeError(tunnelModuleMissing(name, kind))
    : undefined;
}

/** Something else has the device's name or what must be unique about it. */
export function tunnelDeviceTaken(
  name: string,
  what: string,
  hint: string,
  cause?: NetlinkError,
): BackendStartError {
  return new BackendStartError(
    new NetlinkError(`create the device ${name}`, ERRNO.EEXIST, {
      detail: `it is taken: ${what}`,
      hint,
      ...cause === undefined ? {} : { cause },
    }),
  );
}
