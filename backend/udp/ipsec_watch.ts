/**
 * Which data path the host's IPsec policies allow, while they come and go.
 *
 * Programs in the kernel send and take packets where no policy is asked. So they
 * must not run beside policies unless a person has said so, and policies may come
 * at any time: an IPsec daemon is often started after the agent.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { IpsecMonitor } from "../../linux/netlink/ipsec_monitor.ts";

const log = getLogger(["loden", "backend"]);

/** What the watch stands on. */
export interface IpsecWatchParts {
  readonly clock: Clock;
  /** Of this host's network. */
  readonly countIpsecPolicies: () => number;
  /** Throws where the kernel tells of no changes. */
  readonly openIpsecMonitor: () => IpsecMonitor;
}

/** Policies are counted so often where the kernel tells of no changes, and else. */
const LOOK_MS = 10_000;
/**
 * A daemon that is restarted removes its policies and sets them again: to change
 * the data path twice costs more than to wait.
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
   * Waits until there are policies, which it says at once, or until there have
   * been none for half a minute.
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

  /** A look that fails says nothing: the next one comes soon. */
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
      // What came between the start and the monitor.
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
