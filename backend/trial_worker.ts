/**
 * The worker that tries features: its thread goes into a network namespace of its
 * own, which ends with it.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { describeError } from "../errors.ts";
import { KernelBpf } from "../linux/bpf/kernel_bpf.ts";
import { libc } from "../linux/libc.ts";
import { KernelRtnetlink } from "../linux/netlink/kernel_rtnetlink.ts";
import { enterNewNetwork } from "../linux/new_network.ts";
import { openTun } from "../linux/tun.ts";
import {
  type Feature,
  type FeatureTrial,
  tryFeatures,
} from "./feature_trials.ts";

/** What it answers. */
export type TrialAnswer =
  | { readonly trials: readonly FeatureTrial[] }
  | { readonly failure: string };

self.onmessage = ({ data }: MessageEvent<readonly Feature[]>) => {
  self.postMessage(answerFor(data));
  self.close();
};

function answerFor(features: readonly Feature[]): TrialAnswer {
  try {
    // First: sockets belong to the namespace in which they are opened.
    enterNewNetwork();
    using rtnetlink = new KernelRtnetlink();
    return {
      trials: tryFeatures(features, {
        rtnetlink,
        openBpf: (options) => new KernelBpf(options),
        openTun: (options) => {
          const tun = openTun(options);
          libc().close(tun.descriptor);
          return tun;
        },
      }),
    };
  } catch (error) {
    return { failure: describeError(error) };
  }
}
