/**
 * Follows the host's IPsec policies, which decide about the data path.
 *
 * Programs in the kernel send and receive packets without applying policies.
 * They must not run together with policies unless the operator allows it.
 * Policies may appear at any time: an IPsec daemon often starts after the
 * agent.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { IpsecMonitor } from "../../linux/netlink/ipsec_monitor.ts";

const log = getLogger(["loden", "backend"]);

/** What the watch needs. */
export interface IpsecWatchParts {
  readonly clock: Clock;
  /** Of this host's network. */
  readonly countIpsecPolicies: () => number;
  /** Throws if the kernel does not report changes. */
  readonly openIpsecMonitor: () => IpsecMonitor;
}

/** How often policies are counted, without and with reports of the kernel. */
const LOOK_MS = 10_000;
/**
 * A restarted daemon removes its policies and sets them again; changing the
 * data path twice costs more than waiting.
 */
const GONE_FOR_MS = 30_000;

/** See the module. */
export class IpsecWatch {
  readonly #parts: IpsecWatchParts;
  #noneSinceMs: number | undefined;

  constructor(parts: IpsecWatchParts) {
    this.#parts = parts;
  }

  /**
   * Waits until there are policies (returns at once), or until there have been
   * none for half a minute.
   *
   * @returns how many there are; `undefined` when the signal was aborted.
   */
  async until(
    wanted: "some" | "none",
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const found = Promise.withResolvers<number | undefined>();
    const ending = new AbortController();
    const either = AbortSignal.any([signal, ending.signal]);
    const look = () => {
      const count = this.#count();
      if (count === undefined) return;
      const isSo = wanted === "some" ? count > 0 : this.#areGone(count);
      if (isSo) found.resolve(count);
    };
    const stop = () => found.resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const looking = [
      this.#lookByChanges(look, either),
      this.#lookByClock(
        look,
        either,
      ),
    ];
    const failed = Promise.all(looking).then(() => found.promise);
    try {
      return await Promise.race([found.promise, failed]);
    } finally {
      signal.removeEventListener("abort", stop);
      ending.abort();
      await Promise.all(looking);
    }
  }

  #areGone(count: number): boolean {
    const nowMs = this.#parts.clock.monotonic();
    this.#noneSinceMs = count > 0 ? undefined : this.#noneSinceMs ?? nowMs;
    return this.#noneSinceMs !== undefined &&
      nowMs - this.#noneSinceMs >= GONE_FOR_MS;
  }

  /** A failed check is ignored; the next one follows soon. */
  #count(): number | undefined {
    try {
      return this.#parts.countIpsecPolicies();
    } catch (error) {
      log.debug("IPsec policies cannot be counted now", {
        event: "backend.ipsec-unknown",
        reason: describeError(error),
      });
      return undefined;
    }
  }

  async #lookByChanges(look: () => void, signal: AbortSignal): Promise<void> {
    try {
      using monitor = this.#parts.openIpsecMonitor();
      // Policies that appeared between the start and the monitor.
      look();
      for await (const _change of monitor.changes(signal)) look();
    } catch (error) {
      if (signal.aborted) return;
      log.debug("changes of IPsec policies are seen by the clock only", {
        event: "backend.ipsec-not-followed",
        seconds: LOOK_MS / 1_000,
        reason: describeError(error),
      });
    }
  }

  async #lookByClock(look: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#parts.clock.sleep(LOOK_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      look();
    }
  }
}
