/**
 * Checksums of the inner packets that a VXLAN device sends.
 *
 * The kernel leaves them to the network card (`CHECKSUM_PARTIAL`). Some drivers
 * write a wrong one into a packet in a tunnel, and the receiver drops it: pings
 * cross, TCP does not (flannel's issues 1279 and 2152). Without
 * `tx-checksum-ip-generic` of the VXLAN device the kernel computes them itself,
 * and segments TCP before the tunnel, which costs throughput.
 *
 * @module
 */

import { SystemCallError } from "../../linux/errno.ts";
import type { Ethtool } from "../../linux/ethtool.ts";

/** The words of `--vxlan-tx-checksum`. */
export const TX_CHECKSUM_CHOICES = ["auto", "on", "off"] as const;
export type TxChecksumChoice = typeof TX_CHECKSUM_CHOICES[number];

const FEATURE = "tx-checksum-ip-generic";

/**
 * Drivers that spoil inner checksums: VMware's vmxnet3, on hosts whose virtual
 * switch has no VXLAN offload for the port (moby/moby#41775,
 * coreos/fedora-coreos-tracker#1372).
 */
const SPOILING_DRIVERS: ReadonlySet<string> = new Set(["vmxnet3"]);

/** What is to be done about one device. */
export interface TxChecksumPlan {
  /** Whether the card computes them; undefined: as it is. */
  readonly wanted: boolean | undefined;
  /** For people: `off (driver vmxnet3)`. */
  readonly text: string;
}

/** @param cards names of the devices at the bottom of the underlay. */
export function planTxChecksum(
  ethtool: Pick<Ethtool, "driver">,
  choice: TxChecksumChoice,
  cards: readonly string[],
): TxChecksumPlan {
  if (choice !== "auto") {
    const text = `${choice} (--vxlan-tx-checksum=${choice})`;
    return { wanted: choice === "on", text };
  }
  const spoiling = cards.map((name) => driverOf(ethtool, name))
    .find((driver) => driver !== undefined && SPOILING_DRIVERS.has(driver));
  return spoiling === undefined
    ? { wanted: undefined, text: "not changed" }
    : { wanted: false, text: `off (driver ${spoiling})` };
}

/**
 * Switches the offload of a device.
 *
 * @returns what was wrong.
 * @throws {FeatureRefusedError}
 */
export function mendTxChecksum(
  ethtool: Pick<Ethtool, "features" | "setFeatures">,
  device: string,
  { wanted }: TxChecksumPlan,
): string[] {
  if (wanted === undefined) return [];
  const active = ethtool.features(device).get(FEATURE)?.active;
  if (active === wanted) return [];
  ethtool.setFeatures(device, { [FEATURE]: wanted });
  return [`${FEATURE} ${wanted ? "off" : "on"}`];
}

/** `undefined` for a device that does not say. */
function driverOf(
  ethtool: Pick<Ethtool, "driver">,
  device: string,
): string | undefined {
  try {
    return ethtool.driver(device);
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}
