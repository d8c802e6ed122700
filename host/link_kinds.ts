/**
 * Devices that other managers, or we, make inside a host.
 *
 * @module
 */

import type { Link } from "../linux/netlink/rtnetlink.ts";

/** Bridges that container and machine managers make, with one subnet everywhere. */
const MANAGED_BRIDGE =
  /^(docker\d+|docker_gwbridge|br-[0-9a-f]{12}|(virbr|lxcbr|lxdbr|cni|podman|cni-podman)\d+)$/;

/** Devices of an overlay, flannel's or ours. */
const OVERLAY_DEVICE = /^flannel/;

/** Whether a link is such a bridge, and no administrator's. */
export function isManagedBridge({ kind, name }: Link): boolean {
  return kind === "bridge" && MANAGED_BRIDGE.test(name);
}

/** Whether a link carries an overlay. */
export function isOverlayDevice({ name, alias }: Link): boolean {
  return OVERLAY_DEVICE.test(name) || alias.startsWith("loden");
}
