/**
 * What is counted while the agent runs, and what a scrape reads.
 *
 * @module
 */

import type { LeaseRegistry } from "../../lease/registry.ts";
import type { Clock } from "../../linux/clock.ts";
import type { AgentState } from "../status/state.ts";
import { countRegistry, RegistryCounts } from "./counting_registry.ts";
import { Durations } from "./durations.ts";
import { EventCounts } from "./event_counts.ts";
import { LeaseLosses } from "./lease_losses.ts";

/** Upper bounds, in seconds, for changes of peers. */
const APPLY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** Fixed for the life of the agent. */
export interface MetricFacts {
  readonly version: string;
  readonly deno: string;
  readonly arch: string;
  readonly renewMarginSeconds: number;
  /** Whether peers have series of their own. */
  readonly perPeer: boolean;
  /** The commit. */
  readonly revision: () => Promise<string>;
}

/** Counts from the first moment; little is loaded before the first scrape. */
export class AgentMetrics {
  readonly clock: Clock;
  readonly facts: MetricFacts;
  readonly startedMs: number;
  readonly events: EventCounts = new EventCounts();
  readonly losses: LeaseLosses = new LeaseLosses();
  readonly registry: RegistryCounts;
  readonly applies: Durations = new Durations(APPLY_BUCKETS);

  constructor(clock: Clock, facts: MetricFacts) {
    this.clock = clock;
    this.facts = facts;
    this.startedMs = clock.now();
    this.registry = new RegistryCounts(clock);
  }

  /** Begins to follow the lease. */
  follow(state: AgentState): void {
    state.onChange(() => {
      const { lease } = state.facts;
      if (lease !== null) this.losses.follow(lease);
    });
  }

  /** The same registry, counted. */
  count(registry: LeaseRegistry): LeaseRegistry {
    return countRegistry(registry, this.registry, this.clock);
  }

  /** Times a change of the peers. */
  async timeApply(apply: () => Promise<void>): Promise<void> {
    const startedMs = this.clock.monotonic();
    await apply();
    this.applies.observe({}, (this.clock.monotonic() - startedMs) / 1_000);
  }
}
