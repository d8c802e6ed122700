/**
 * How long a peer is believed to hold its subnet.
 *
 * @module
 */

import type { Cidr } from "./cidr.ts";

/** Asked by a data path that carries packets without the agent. */
export interface PeerTrust {
  /**
   * For how many milliseconds from now packets of the peer with this subnet may
   * flow if the agent ends now. 0 or less: not any more.
   */
  remainingMs(subnet: Cidr): number;
}
