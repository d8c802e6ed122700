/**
 * Which routes the backends of one host want, while several run side by side.
 *
 * Kernel backends share a routing table and a protocol number. Without this, each
 * would remove the routes of the other as leftovers, or replace them by its own.
 *
 * @module
 */

import type { NewRoute } from "../../linux/netlink/rtnetlink.ts";
import { routeKey } from "./plan.ts";

/** One backend's claim. */
export interface RouteClaim {
  /** Sets all that the backend wants. @returns what is its to program. */
  set(routes: readonly NewRoute[]): readonly NewRoute[];
  /** The same for a change of some routes. */
  change(
    added: readonly NewRoute[],
    removed: readonly NewRoute[],
  ): readonly NewRoute[];
  /** Whether another backend wants a route, by {@linkcode routeKey}. */
  isOfOthers(key: string): boolean;
  /** The backend is gone; what it has left is removed by others. */
  end(): void;
}

/** One host's. If two want a route, the one that began to want it last has it. */
export class RouteClaims {
  readonly #wanted = new Map<RouteClaim, Set<string>>();
  readonly #holders = new Map<string, RouteClaim>();

  /** A claim on nothing yet. It outlives the restarts of its backend. */
  open(): RouteClaim {
    const wanted = new Set<string>();
    const claim: RouteClaim = {
      set: (routes) => {
        const keys = new Set(routes.map(routeKey));
        for (const key of wanted) if (!keys.has(key)) this.#drop(claim, key);
        return routes.filter((route) => this.#want(claim, routeKey(route)));
      },
      change: (added, removed) => {
        for (const route of removed) this.#drop(claim, routeKey(route));
        return added.filter((route) => this.#want(claim, routeKey(route)));
      },
      isOfOthers: (key) =>
        [...this.#wanted].some(([other, keys]) =>
          other !== claim && keys.has(key)
        ),
      end: () => {
        claim.set([]);
        this.#wanted.delete(claim);
      },
    };
    this.#wanted.set(claim, wanted);
    return claim;
  }

  /** @returns whether the claim has the route. */
  #want(claim: RouteClaim, key: string): boolean {
    const wanted = this.#wanted.get(claim)!;
    if (!wanted.has(key)) {
      wanted.add(key);
      this.#holders.set(key, claim);
    }
    return this.#holders.get(key) === claim;
  }

  #drop(claim: RouteClaim, key: string): void {
    this.#wanted.get(claim)?.delete(key);
    if (this.#holders.get(key) !== claim) return;
    const next = [...this.#wanted].find(([, keys]) => keys.has(key))?.[0];
    if (next === undefined) this.#holders.delete(key);
    else this.#holders.set(key, next);
  }
}
