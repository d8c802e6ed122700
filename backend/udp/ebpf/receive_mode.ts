/**
 * How packets are received from an underlay device. Chosen per device, never
 * per packet, because packets of a flow could then overtake each other.
 *
 * @module
 */

import type { DeviceFeature } from "../../../linux/ethtool.ts";
import type { ReceiveChoice } from "../data_path.ts";
import type { ReceiveMode } from "./programs/constants.ts";

/** What is known about a device. */
export interface UnderlayDevice {
  /** IFLA_INFO_KIND; empty for hardware. */
  readonly kind: string;
  readonly driver: string;
  /** By the kernel's names: `ethtool -k`. */
  readonly features: ReadonlyMap<string, DeviceFeature>;
}

/** A choice, and why. */
export interface ReceiveDecision {
  readonly mode: ReceiveMode;
  readonly reason: string;
}

/**
 * A bond takes a program and gives it to its ports. What it sees there has come
 * by other interfaces than the peers are reached by.
 */
const BOND_REASON = "a bond runs XDP programs at its ports, not at itself";

/**
 * `gro` works everywhere. Attaching a native XDP program resets the queues of
 * many drivers, and some refuse it, so on hardware it must be requested; a veth
 * whose packets arrive one by one has no such queues. `direct` is the fastest
 * for the host's own sockets with whole super-packets, but not for containers
 * behind a bridge: the packet is still marked as a tunnel's, and the bridge has
 * it segmented (`netif_skb_features`, `hw_enc_features`).
 */
export function chooseReceiveMode(
  device: UnderlayDevice,
  wanted: ReceiveChoice,
): ReceiveDecision {
  if (wanted === "xdp" && device.kind === "bond") {
    return { mode: "gro", reason: BOND_REASON };
  }
  if (wanted !== "auto") {
    return { mode: wanted, reason: `set by --ebpf-receive=${wanted}` };
  }
  return device.kind === "veth" && isActive(device, "rx-gro") &&
      !isActive(device, "tx-tcp-segmentation")
    ? { mode: "xdp", reason: "a veth that receives packets one by one" }
    : { mode: "gro", reason: "works on every device" };
}

/**
 * Whether super-packets may leave the host whole and reach the peer so: by a
 * software device that takes encapsulated ones, or by a hypervisor's.
 */
function passesWhole(device: UnderlayDevice): boolean {
  return (device.kind !== "" || device.driver === "virtio_net") &&
    isActive(device, "tx-udp_tnl-segmentation") &&
    isActive(device, "tx-udp-segmentation");
}

/**
 * Whether UDP super-packets that leave by a device reach the peer whole and are
 * lost there. Behind a veth, the peer's kernel is this one.
 *
 * @param bottom the devices at the bottom of a bond, bridge or VLAN, which pass
 * on what they get; otherwise the device itself.
 */
export function losesUdp(
  device: UnderlayDevice,
  bottom: readonly UnderlayDevice[],
  decapUdp: boolean,
): boolean {
  return passesWhole(device) &&
    bottom.some((lower) =>
      passesWhole(lower) && !(decapUdp && lower.kind === "veth")
    );
}

function isActive({ features }: UnderlayDevice, name: string): boolean {
  return features.get(name)?.active ?? false;
}
