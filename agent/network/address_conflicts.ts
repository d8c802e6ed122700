/**
 * Waits until the overlay's addresses are free on this host.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { NetworkConfig } from "../../config/network/network.ts";
import { describeError } from "../../errors.ts";
import { NetworkOverlapError } from "../../host/errors.ts";
import type { NetworkOverlap } from "../../host/network_fit.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** What {@linkcode waitForFreeAddresses} needs. */
export interface AddressConflictComponents extends RetryComponents {
  readonly state: AgentState;
  readonly findAddressConflicts: (config: NetworkConfig) => AddressConflicts;
}

/** One check of the host's routes and addresses. */
export interface AddressConflicts {
  readonly overlaps: readonly NetworkOverlap[];
  /** Whether the network has been running here since boot. */
  readonly isServed: boolean;
}

/**
 * A network that overlaps addresses or routes of this host does not start and
 * waits. A running network keeps running, because stopping it would do more
 * harm.
 *
 * @throws the signal's reason if aborted.
 */
export async function waitForFreeAddresses(
  config: NetworkConfig,
  components: AddressConflictComponents,
  signal: AbortSignal,
): Promise<void> {
  const { state, findAddressConflicts } = components;
  const { network } = config.pool;
  await retryUntilDone(
    () => {
      const { overlaps, isServed } = findAddressConflicts(config);
      const conflicts = overlaps.filter(({ kind }) => kind === "conflict");
      if (conflicts.length === 0) {
        state.clear("network.overlaps");
        warnOfTakeovers(network, overlaps);
        return;
      }
      const error = new NetworkOverlapError(network, conflicts);
      if (!isServed) throw error;
      report(error, state);
    },
    components,
    {
      signal,
      onFailure: (error) => {
        report(error, state);
        state.waitFor("addresses", describeError(error));
      },
    },
  );
}

function report(error: unknown, state: AgentState): void {
  if (!state.raise("network.overlaps", describeError(error))) return;
  log.error("network overlaps addresses or routes of this host", {
    event: "network.overlaps",
    error,
  });
}

function warnOfTakeovers(
  network: Cidr,
  takeovers: readonly NetworkOverlap[],
): void {
  for (const { text } of takeovers) {
    log.warn("overlay takes part of the addresses of another route", {
      event: "network.takes-over",
      network: formatCidr(network),
      route: text,
    });
  }
}
