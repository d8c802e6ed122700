/**
 * What is known of the host when its programs are assembled: it stands in them
 * as immediate operands, so that a packet costs no look-up for it.
 *
 * @module
 */

import type { Cidr } from "../../../../net/cidr.ts";
import type { Ipv4 } from "../../../../net/ipv4.ts";
import type { SenderCheck } from "../../data_path.ts";

/** See the module. */
export interface HostConstants {
  /** At the end of the programs' names: `ownership.ts`. */
  readonly suffix: string;
  /** In front of stripped frames: the network's own, 32 bits. */
  readonly mark: number;
  /** This host's subnet: what decapsulated packets must be for. */
  readonly subnet: Cidr;
  /** The address that peers know; of outer packets, both ways. */
  readonly underlayAddress: Ipv4;
  readonly port: number;
  readonly senderCheck: SenderCheck;
  /** The overlay device, `flannel0`. */
  readonly device: DeviceConstants;
  /** Its other end, the hop: `flannel0p`. */
  readonly hop: DeviceConstants;
  /**
   * UDP is cut by the overlay device before it is encapsulated. Else a
   * super-packet would arrive whole where the underlay passes it whole, and be
   * lost there: without {@linkcode HostConstants.decapUdp} the kernel still takes
   * it for a tunnel's after it is decapsulated.
   */
  readonly cutUdp: boolean;
  /** Decapsulation resets a super-packet's tunnel state: `decap_udp.ts`. */
  readonly decapUdp: boolean;
}

/** A device of the pair. */
export interface DeviceConstants {
  readonly interfaceIndex: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** How an underlay device's packets are taken. */
export type ReceiveMode = "xdp" | "gro" | "direct";
