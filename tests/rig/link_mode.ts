/**
 * How packets cross the rig's underlay.
 *
 * - `super`: a veth hands 64 KiB packets over whole, as it does by default.
 * - `software`: offloads off at the veths, so that one packet per skb crosses,
 *   as on a real wire; the kernel segments before and merges (GRO) after it.
 *
 * @module
 */

import type { NetNamespace } from "./namespace.ts";

/** See the module. */
export type LinkMode = "super" | "software";

const SEGMENTATION = [
  "tso",
  "tx-udp-segmentation",
  "tx-udp_tnl-segmentation",
  "tx-udp_tnl-csum-segmentation",
];

/** Puts devices of one namespace into a mode. */
export async function setLinkMode(
  namespace: NetNamespace,
  devices: readonly string[],
  mode: LinkMode,
  signal?: AbortSignal,
): Promise<void> {
  const hardware = mode === "super" ? "on" : "off";
  const merging = mode === "super" ? "off" : "on";
  const features = SEGMENTATION.flatMap((feature) => [feature, hardware]);
  for (const device of devices) {
    await namespace.run(
      ["ethtool", "-K", device, ...features, "gro", merging],
      signal ? { signal } : {},
    );
  }
}
