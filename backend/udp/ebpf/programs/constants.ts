/**
 * Constants of the host, which are immediate operands in the programs, so that
 * packets need no look-up for them.
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
  /** This host's subnet, the only valid destination of decapsulated packets. */
  readonly subnet: Cidr;
  /** This host's address in outer packets, in both directions. */
  readonly underlayAddress: Ipv4;
  readonly port: number;
  /** Outer packets leave from `port`, or from one per flow: `source_port.ts`. */
  readonly sourcePort: "hash" | "fixed";
  readonly senderCheck: SenderCheck;
  /** Whether packets must come by an interface that leads to their sender. */
  readonly checksInterface: boolean;
  /** The overlay device, `flannel0`. */
  readonly device: DeviceConstants;
  /** Its other end, the hop: `flannel0p`. */
  readonly hop: DeviceConstants;
  /**
   * The overlay device segments UDP before it is encapsulated. Otherwise, if
   * the underlay passes super-packets whole, one would arrive whole and be
   * lost: without {@linkcode HostConstants.decapUdp} the kernel still takes it
   * for a tunnel's after it is decapsulated.
   */
  readonly cutUdp: boolean;
  /** Decapsulation resets a super-packet's tunnel state: `decap_udp.ts`. */
  readonly decapUdp: boolean;
  /** Drops are recorded while the agent asks: `record_drop.ts`. */
  readonly recordsDrops: boolean;
}

/** A device of the pair. */
export interface DeviceConstants {
  readonly interfaceIndex: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** How packets are received from an underlay device. */
export type ReceiveMode = "xdp" | "gro" | "direct";
