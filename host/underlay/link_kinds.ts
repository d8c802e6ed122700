/**
 * Devices that container managers or Loden create inside a host.
 *
 * @module
 */

import type { Link } from "../../linux/netlink/rtnetlink.ts";

/**
 * Bridges of container and machine managers, which have the same subnet on
 * every host.
 */
const MANAGED_BRIDGE =
  /^(docker\d+|docker_gwbridge|br-[0-9a-f]{12}|(virbr|lxcbr|lxdbr|cni|podman|cni-podman)\d+)$/;

/** Overlay devices, flannel's or ours. */
const OVERLAY_DEVICE = /^flannel/;

/** Whether a link is such a bridge and was not made by an administrator. */
export function isManagedBridge({ kind, name }: Link): boolean {
  return kind === "bridge" && MANAGED_BRIDGE.test(name);
}

/** Whether a link is an overlay device. */
export function isOverlayDevice({ name, alias }: Link): boolean {
  return OVERLAY_DEVICE.test(name) || alias.startsWith("loden");
}
