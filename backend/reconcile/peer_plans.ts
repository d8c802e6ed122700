/**
 * What each peer needs in the kernel, and what follows for all of them.
 *
 * @module
 */

import type {
  ForwardingEntry,
  NewRoute,
} from "../../linux/netlink/rtnetlink.ts";
import type { Cidr } from "../../net/cidr.ts";
import { macKey } from "../../net/mac.ts";
import type { DesiredState } from "./kernel_state.ts";

const METRICS = 512;

/**
 * The metric of a route to a peer's subnet. The kernel compares a new gateway with
 * all others of its device and metric (`net/ipv4/fib_semantics.c`): with one
 * metric, 10,000 routes take it seconds.
 *
 * It is below that of the udp backend's route to the same subnet
 * (`udp/ebpf/peer_table.ts`): during a change of backend, kernel backends take the
 * packets of a peer at once.
 */
function metricOf({ address, prefixLength }: Cidr): number {
  return (address >>> (32 - prefixLength)) % (2 * METRICS) >>> 1;
}

/** By the text of each peer's subnet. */
export class PeerPlans<Plan extends DesiredState> {
  readonly #plans = new Map<string, Plan>();
  /** Entries that have a hardware address, by the peers that want them. */
  readonly #entries = new Map<number, Map<string, ForwardingEntry>>();

  /** Sets what the peers of `key` need; routes through a gateway get a metric. */
  set(key: string, plan: Plan): void {
    this.delete(key);
    const routes = plan.routes.map((route): NewRoute =>
      route.gateway === undefined
        ? route
        : { ...route, metric: metricOf(route.destination) }
    );
    this.#plans.set(key, { ...plan, routes });
    for (const entry of plan.forwarding) {
      const mac = macKey(entry.mac);
      const sharers = this.#entries.get(mac) ?? new Map();
      this.#entries.set(mac, sharers.set(key, entry));
    }
  }

  /** The peers of `key` are gone. */
  delete(key: string): void {
    for (const { mac } of this.#plans.get(key)?.forwarding ?? []) {
      const sharers = this.#entries.get(macKey(mac));
      sharers?.delete(key);
      if (sharers?.size === 0) this.#entries.delete(macKey(mac));
    }
    this.#plans.delete(key);
  }

  /** Forgets everything. */
  clear(): void {
    this.#plans.clear();
    this.#entries.clear();
  }

  /** Of these peers, or of all. */
  plans(keys: Iterable<string> = this.#plans.keys()): Plan[] {
    return [...keys].map((key) => this.#plans.get(key))
      .filter((plan) => plan !== undefined);
  }

  /** The entries that are wanted for these hardware addresses. */
  entriesOf(macs: Iterable<number>): ForwardingEntry[] {
    return [...macs].flatMap((
      mac,
    ) => [...this.#entries.get(mac)?.values() ?? []]);
  }
}

/** One state of several plans. */
export function merge(plans: readonly DesiredState[]): DesiredState {
  return {
    routes: plans.flatMap(({ routes }) => routes),
    neighbours: plans.flatMap(({ neighbours }) => neighbours),
    forwarding: plans.flatMap(({ forwarding }) => forwarding),
  };
}
