/**
 * This host's side of the underlay.
 *
 * @module
 */

import type { Ipv4 } from "./ipv4.ts";
import type { OverlayMtu, UnderlayMtu } from "./mtu.ts";

/** The interface and addresses that traffic to other hosts uses. */
export interface Underlay {
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  /** The interface's own address: what sockets bind to. */
  readonly address: Ipv4;
  /** The address at which other hosts reach this one, as the lease says. */
  readonly publicIp: Ipv4;
  readonly mtuBytes: UnderlayMtu;
  /** Hardware address; empty for a device without one. */
  readonly mac: Uint8Array;
}

/** Packets that only the hosts of the overlay send each other. */
export interface OuterTraffic {
  /** IPPROTO_*: 17 for UDP, 4 for ipip. */
  readonly protocol: number;
  /** Destination port, of a protocol that has ports. */
  readonly port?: number;
  /** Those that packets leave from, `49152-65535`, if not the same one. */
  readonly sourcePorts?: string;
}

/** `UDP port 8285`, for people. */
export function trafficText({ port, protocol }: OuterTraffic): string {
  const name = protocol === 17 ? "UDP" : `IP protocol ${protocol}`;
  return port === undefined ? name : `${name} port ${port}`;
}

/** Where outer packets may come from and leave by on this host. */
export interface UnderlayUse {
  readonly traffic: readonly OuterTraffic[];
  /** Names of the devices by which peers are reached, the lease's among them. */
  readonly devices: readonly string[];
}

/** What other programs of the host need to know of a started backend. */
export interface Overlay {
  /**
   * The device's name; `undefined` for a backend without one (alloc, host-gw).
   */
  readonly deviceName: string | undefined;
  readonly mtuBytes: OverlayMtu;
}
