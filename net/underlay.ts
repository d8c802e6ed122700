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

/** What other programs of the host need to know of a started backend. */
export interface Overlay {
  /**
   * The device's name; `undefined` for a backend without one (alloc, host-gw).
   */
  readonly deviceName: string | undefined;
  readonly mtuBytes: OverlayMtu;
}
