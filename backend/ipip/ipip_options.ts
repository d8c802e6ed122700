/**
 * The options of the ipip backend in a network config.
 *
 * @module
 */

/** flannel's name of the device. */
export const IPIP_DEVICE = "flannel.ipip";

/** The outer IPv4 header. */
const IPIP_ENCAPSULATION_BYTES = 20;

/** Of inner packets. */
export function ipipMtuBytes(underlayMtuBytes: number): number {
  return underlayMtuBytes - IPIP_ENCAPSULATION_BYTES;
}

/** flannel's, in its spelling but for the case. */
export interface IpipOptions {
  /** Peers on the underlay's link are reached by plain routes. */
  readonly directRouting: boolean;
}
