/**
 * The route that drops packets that no bridge takes (`--ip-blackhole-route`).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import { type Cidr, equalCidr } from "../../net/cidr.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** Interval between two checks. */
const PAUSE_MS = 5_000;

/** What it needs. */
export interface BlackholeRouteComponents {
  readonly clock: Clock;
  readonly state: AgentState;
  /** Drops packets for this host's subnet while no bridge takes them. */
  readonly ensureBlackholeRoute: (subnet: Cidr) => void;
  /** Removes the route: the subnet belongs to another host from now on. */
  readonly removeBlackholeRoute: (subnet: Cidr) => void;
}

/**
 * Set at intervals, as flannel does together with its firewall rules (compat
 * 1.3).
 */
export class BlackholeRoute {
  readonly #components: BlackholeRouteComponents;
  #subnet: Cidr | undefined;

  constructor(components: BlackholeRouteComponents) {
    this.#components = components;
  }

  /** Uses this subnet from now on. @returns whether it is the first one. */
  follow(subnet: Cidr): boolean {
    const before = this.#subnet;
    this.#subnet = subnet;
    if (before === undefined) return true;
    if (!equalCidr(before, subnet)) {
      this.#try(() => this.#components.removeBlackholeRoute(before));
      this.#ensure();
    }
    return false;
  }

  /** Until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    do this.#ensure(); while (await slept(clock, PAUSE_MS, signal));
  }

  #ensure(): void {
    this.#try(() => this.#components.ensureBlackholeRoute(this.#subnet!));
  }

  #try(action: () => void): void {
    const { state } = this.#components;
    try {
      action();
      state.clear("host.blackhole-route");
    } catch (error) {
      const reason = describeError(error, "loden doctor");
      if (state.raise("host.blackhole-route", reason)) {
        log.warn("blackhole route cannot be set", {
          event: "host.blackhole-route-failed",
          error,
        });
      }
    }
  }
}
