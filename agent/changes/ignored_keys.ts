/**
 * Keys of the network config that mean nothing.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { NetworkConfig } from "../../config/network/network.ts";

const log = getLogger(["loden", "agent"]);

/** One line for each, with what it may have been meant to be. */
export function logIgnoredKeys({ ignoredKeys }: NetworkConfig): void {
  for (const { key, near } of ignoredKeys) {
    log.warn("key in the network config has no effect", {
      event: "config.key-ignored",
      key,
      didYouMean: near,
    });
  }
}
