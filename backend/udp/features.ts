/**
 * What the data paths can do without, word by word.
 *
 * @module
 */

import type { OffloadFeatures } from "../../linux/offload.ts";

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
} as const satisfies Record<string, keyof DataPathFeatures>;

/** Which features are to be used, or are in use. */
export interface DataPathFeatures extends OffloadFeatures {
  readonly busyPoll: boolean;
  readonly helperThread: boolean;
  readonly tcx: boolean;
  readonly flowSpreading: boolean;
}

/** Of the kernel data path alone. */
const KERNEL_ONLY: readonly (keyof DataPathFeatures)[] = [
  "tcx",
  "flowSpreading",
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
