/**
 * How packets cross the rig's underlay.
 *
 * - `super`: a veth hands 64 KiB packets over whole, as it does by default.
 * - `software`: offloads off at the veths, so that one packet per skb crosses,
 *   as on a real wire; the kernel segments before and merges (GRO) after it.
 * - `wire`: `software`, and each packet is copied into a linear page on its way,
 *   as a NIC's DMA leaves it: a veth with a native XDP program does that
 *   (drivers/net/veth.c, `veth_convert_skb_to_xdp_buff`). The program lets
 *   everything pass. It is at the switch's end of the cables; the hosts have
 *   none of it.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import type { NetNamespace } from "./namespace.ts";

/** See the module. */
export type LinkMode = "super" | "software" | "wire";

const SEGMENTATION = [
  "tso",
  "tx-udp-segmentation",
  "tx-udp_tnl-segmentation",
  "tx-udp_tnl-csum-segmentation",
];

const XDP_PASS = fromFileUrl(
  new URL("./programs/xdp_pass.ts", import.meta.url),
);

/** Puts devices of one namespace into a mode; a host's end of `wire` is `software`. */
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

/**
 * Puts the switch's ports into a mode, or takes them out of it. Before the other
 * ends: an XDP program forbids the other end's segmentation offloads.
 */
export async function setSwitchMode(
  namespace: NetNamespace,
  ports: readonly string[],
  mode: LinkMode,
  signal?: AbortSignal,
): Promise<void> {
  if (mode === "wire") {
    await namespace.run(
      [Deno.execPath(), "run", "-A", XDP_PASS, ...ports],
      signal ? { signal } : {},
    );
  } else {
    await namespace.ip(ports.map((port) => `link set ${port} xdp off`), signal);
  }
  await setLinkMode(namespace, ports, mode, signal);
}
