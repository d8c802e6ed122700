/**
 * etcd's leases, the timers that our keys are attached to.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Clock, slept, systemClock } from "../../linux/clock.ts";
import { systemRandom } from "../../linux/random.ts";
import type { EtcdCluster } from "./cluster.ts";

const log = getLogger(["loden", "lease"]);

/** Above this number the oldest are left to expire. */
const MAX_ABANDONED = 64;
/** Pause before a failed revoke is tried again. */
const SWEEP_PAUSE_MS = 10_000;

/**
 * Grants etcd leases and revokes those without attached keys, so that no
 * restart or renewal leaves one behind (flannel does, compat 3.3).
 *
 * Revoking deletes the attached keys. Whether a key is attached is therefore
 * always read from etcd, never inferred: a put that was reported as failed may
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

  /**
   * Grants an etcd lease with an id of our choice, so that a lost answer loses
   * no lease.
   */
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

  /**
   * The time until it expires without renewal; `undefined` if it has expired.
   */
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

  /**
   * Marks a lease to which, as far as we know, no key of ours is attached any
   * more.
   */
  abandon(id: string): void {
    if (id === "0") return;
    this.#abandoned.add(id);
    if (this.#abandoned.size > MAX_ABANDONED) {
      this.#abandoned.delete(this.#abandoned.values().next().value!);
    }
  }

  /**
   * Revokes the abandoned leases that have no attached keys, including those
   * abandoned in the meantime. Resolves after one attempt and never rejects;
   * failures are tried again until `signal` is aborted. Do not pass the
   * writer's signal: it is aborted when the writer's watch ends, and the old
   * lease would stay for its full TTL.
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

/** Revokes an etcd lease unless a key is attached to it. */
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
