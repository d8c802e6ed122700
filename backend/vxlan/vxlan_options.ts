/**
 * The options of the vxlan backend in a network config.
 *
 * @module
 */

import type { TxChecksumChoice } from "./tx_checksum.ts";

/** IANA's port is 4789; flannel leaves the choice to Linux, which has this one. */
export const DEFAULT_VXLAN_PORT = 8472;
/** Inner Ethernet, outer IPv4, UDP and VXLAN headers: 14 + 20 + 8 + 8. */
export const VXLAN_ENCAPSULATION_BYTES = 50;
/** `flannel.` and the number must fit a device's name of 15 bytes. */
export const LARGEST_NAMED_VNI = 9_999_999;

/** flannel's, in its spelling but for the case. */
export interface VxlanOptions {
  readonly vni: number;
  readonly port: number;
  /** Of outer packets; `undefined`: as the underlay's device. */
  readonly outerMtuBytes: number | undefined;
  /** VXLAN group policy (GBP). */
  readonly groupPolicy: boolean;
  readonly learning: boolean;
  /** Peers on the underlay's link are reached by plain routes. */
  readonly directRouting: boolean;
}

/** flannel's name of the device. */
export function vxlanDeviceName({ vni }: Pick<VxlanOptions, "vni">): string {
  return `flannel.${vni}`;
}

/** Of inner packets. An option above the underlay's MTU has no effect. */
export function vxlanMtuBytes(
  { outerMtuBytes }: Pick<VxlanOptions, "outerMtuBytes">,
  underlayMtuBytes: number,
): number {
  return Math.min(outerMtuBytes ?? underlayMtuBytes, underlayMtuBytes) -
    VXLAN_ENCAPSULATION_BYTES;
}

/** How a vxlan backend works on this host. */
export interface VxlanBackendOptions extends VxlanOptions {
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
  /** The address of a device that is to be made, six bytes. */
  readonly mac: Uint8Array;
  readonly txChecksum: TxChecksumChoice;
}
