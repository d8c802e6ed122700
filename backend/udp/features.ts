/**
 * What the data paths can do without, word by word.
 *
 * @module
 */

/**
 * The words of `--disable-feature`. Each names something that the data path asks
 * the kernel for and has a slower way around.
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
  /** Looking for the next packet a little while before going to sleep. */
  "busy-poll": "busyPoll",
  /** A second thread that receives while much moves. */
  "helper-thread": "helperThread",
  /** The newer way to attach programs, of the kernel data path. */
  "tcx": "tcx",
  /** All processors for flows from one host, of the kernel data path. */
  "flow-spreading": "flowSpreading",
  /** Super-packets without a tunnel's marks, of the kernel data path. */
  "decap-udp": "decapUdp",
} as const satisfies Record<string, keyof DataPathFeatures>;

/** Which features are to be used, or are in use. */
export interface DataPathFeatures extends OffloadFeatures {
  readonly busyPoll: boolean;
  readonly helperThread: boolean;
  readonly tcx: boolean;
  readonly flowSpreading: boolean;
  readonly decapUdp: boolean;
}

/** Of the kernel data path alone. */
const KERNEL_ONLY: readonly (keyof DataPathFeatures)[] = [
  "tcx",
  "flowSpreading",
  "decapUdp",
];

/** Everything but what is switched off. */
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
