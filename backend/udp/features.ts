/**
 * The optional features of the data paths.
 *
 * @module
 */

/**
 * The words of `--disable-feature`. Each names a kernel feature that the data
 * path can replace by something slower.
 */
export const UDP_FEATURES = {
  /** TCP super-packets from and to the TUN. */
  "tun-tcp-offload": "tunTcp",
  /** UDP super-packets from and to the TUN. */
  "tun-udp-offload": "tunUdp",
  /** Many datagrams in one send. */
  "udp-segment": "udpSegment",
  /** Many datagrams in one receive. */
  "udp-gro": "udpGro",
  /** Polling for the next packet before going to sleep. */
  "busy-poll": "busyPoll",
  /** A second thread that receives under load. */
  "helper-thread": "helperThread",
  /** The newer hook for programs, kernel data path. */
  "tcx": "tcx",
  /** Receive packet steering for flows from one host, kernel data path. */
  "flow-spreading": "flowSpreading",
  /** Resetting the tunnel mark of super-packets, kernel data path. */
  "decap-udp": "decapUdp",
  /** Recording dropped packets in a ring buffer, kernel data path. */
  "drop-events": "dropEvents",
} as const satisfies Record<string, keyof DataPathFeatures>;

/** Which features are to be used, or are in use. */
export interface DataPathFeatures extends OffloadFeatures {
  readonly busyPoll: boolean;
  readonly helperThread: boolean;
  readonly tcx: boolean;
  readonly flowSpreading: boolean;
  readonly decapUdp: boolean;
  readonly dropEvents: boolean;
}

/** Of the kernel data path alone. */
const KERNEL_ONLY: readonly (keyof DataPathFeatures)[] = [
  "tcx",
  "flowSpreading",
  "decapUdp",
  "dropEvents",
];

/** Everything except what is disabled. */
export function wantedFeatures(
  disabled: readonly string[],
): DataPathFeatures {
  const off = new Set<string>(disabled);
  const wanted = Object.entries(UDP_FEATURES)
    .map(([word, feature]) => [feature, !off.has(word)]);
  return Object.fromEntries(wanted) as unknown as DataPathFeatures;
}

/** The words of the features that the user-space path uses, for the log. */
export function describeFeatures(features: DataPathFeatures): string[] {
  return Object.entries(UDP_FEATURES)
    .filter(([, feature]) =>
      !KERNEL_ONLY.includes(feature) && features[feature]
    )
    .map(([word]) => word);
}

/**
 * One flag per feature, so that each can be missing, or be disabled for a test,
 * on its own.
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
