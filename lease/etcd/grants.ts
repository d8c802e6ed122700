/**
 * etcd's own leases, the timers that our keys hang on.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Clock, slept, systemClock } from "../../linux/clock.ts";
import { systemRandom } from "../../linux/random.ts";
import type { EtcdCluster } from "./cluster.ts";

const log = getLogger(["loden", "lease"]);

/** Beyond it the oldest are left to their TTL. */
const MAX_ABANDONED = 64;
/** Before those that could not be taken back are tried again. */
const SWEEP_PAUSE_MS = 10_000;

/**
 * Grants etcd leases and takes back those that nothing hangs on, so that no
 * restart and no renewal leaves one behind (flannel does, compat 12.8).
 *
 * Revoking deletes the keys of a lease. Whether a key hangs on one is therefore
 * always asked of etcd, never concluded: a put that was reported as failed may
 * have been carried out.
 */
export class LeaseGrants {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #abandoned = new Set<string>();
  /** The attempt under way. */
  #sweeping: Promise<void> | undefined;
  /** The pause before the next one. */
  #retry: Promise<void> | undefined;
  #toldOfFailure = false;

  constructor(clock: Pick<Clock, "sleep"> = systemClock) {
    this.#clock = clock;
  }

  /** A new etcd lease; the id is ours, so that a lost answer loses no lease. */
  async grant(
    cluster: EtcdCluster,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<string> {
    const id = randomLeaseId();
    try {
      await cluster.run(
        { what: "get a time to live", signal, repeatable: false },
        (connection, limits) =>
          connection.calls(limits).lease.leaseGrant({
            ID: id,
            TTL: ttlSeconds,
          }),
      );
    } catch (error) {
      this.abandon(id);
      throw error;
    }
    return id;
  }

  /** Until it ends if nobody renews it; `undefined` when it has ended. */
  async remainingSeconds(
    cluster: EtcdCluster,
    id: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { TTL } = await cluster.run(
      { what: "ask for a time to live", signal, repeatable: true },
      (connection, limits) =>
        connection.calls(limits).lease.leaseTimeToLive({ ID: id }),
    );
    return Number(TTL) >= 0 ? Number(TTL) : undefined;
  }

  /** Nothing of ours should hang on this one any more, as far as we know. */
  abandon(id: string): void {
    if (id === "0") return;
    this.#abandoned.add(id);
    if (this.#abandoned.size > MAX_ABANDONED) {
      this.#abandoned.delete(this.#abandoned.values().next().value!);
    }
  }

  /**
   * Revokes the abandoned ones on which really nothing hangs, and those that are
   * abandoned meanwhile. Resolves after one attempt, never rejects. What could not
   * be done is tried again until `signal` is aborted. That must not be the signal
   * of who writes: he is called off when his watch ends, and would leave the old
   * lease behind for all of its TTL.
   */
  sweep(cluster: EtcdCluster, signal: AbortSignal): Promise<void> {
    return this.#sweeping ??= this.#trySweep(cluster, signal)
      .finally(() => this.#sweeping = undefined);
  }

  async #trySweep(cluster: EtcdCluster, signal: AbortSignal): Promise<void> {
    try {
      for (const id of this.#abandoned) {
        await takeBack(cluster, id, signal);
        this.#abandoned.delete(id);
      }
      this.#toldOfFailure = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!this.#toldOfFailure) {
        log.debug("an unused etcd lease cannot be revoked yet", {
          event: "lease.revoke-failed",
          error,
        });
      }
      this.#toldOfFailure = true;
      this.#retry ??= this.#sweepLater(cluster, signal)
        .finally(() => this.#retry = undefined);
    }
  }

  async #sweepLater(cluster: EtcdCluster, signal: AbortSignal): Promise<void> {
    if (await slept(this.#clock, SWEEP_PAUSE_MS, signal)) {
      this.sweep(cluster, signal);
    }
  }
}

/** Revokes an etcd lease unless something hangs on it. */
async function takeBack(
  cluster: EtcdCluster,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await cluster.run(
    { what: "give back a time to live", signal, repeatable: true },
    async (connection, limits) => {
      const { lease } = connection.calls(limits);
      const { TTL, keys } = await lease.leaseTimeToLive({ ID: id, keys: true });
      const exists = Number(TTL) >= 0;
      if (exists && keys.length === 0) await lease.leaseRevoke({ ID: id });
    },
  );
}

/** 63 random bits, never 0, as a decimal number. */
function randomLeaseId(): string {
  const bytes = systemRandom.bytes(8);
  const bits = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  return ((bits >> 1n) || 1n).toString();
}
