/**
 * Features of the kernel that the packet edges use when they are there.
 *
 * @module
 */

/**
 * One flag for each feature, so that each can be missing, or be switched off for
 * a test, on its own.
 */
export interface OffloadFeatures {
  /** TUN_F_TSO4: the TUN exchanges TCP super-packets. Linux 2.6.27. */
  readonly tunTcp: boolean;
  /** TUN_F_USO4: the TUN exchanges UDP super-packets. Linux 6.2. */
  readonly tunUdp: boolean;
  /** UDP_SEGMENT: one send carries many datagrams. Linux 4.18. */
  readonly udpSegment: boolean;
  /** UDP_GRO: one receive gives many datagrams. Linux 5.0. */
  readonly udpGro: boolean;
}
