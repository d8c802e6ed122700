/**
 * Decides when to report READY to the service manager.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { ServiceNotifier } from "../host/systemd.ts";
import type { Clock } from "../linux/clock.ts";
import type { Network } from "./network/network.ts";
import { describePlan } from "./network/network_plan.ts";
import type { AgentState } from "./status/state.ts";
import { describeStatus } from "./status/status_line.ts";
import type { TaskGroup } from "./tasks/task_group.ts";

const log = getLogger(["loden", "agent"]);

/** READY does not wait longer for the first list of peers. */
const PEERS_PATIENCE_MS = 5_000;
/** Pause between attempts to notify the service manager. */
const READY_PAUSE_MS = 1_000;

/** What it needs. */
export interface ReadinessComponents {
  readonly clock: Clock;
  readonly state: AgentState;
  readonly notifier: ServiceNotifier;
  readonly tasks: TaskGroup;
}

/** READY, once. */
export class Readiness {
  readonly #components: ReadinessComponents;
  readonly #peersKnown = Promise.withResolvers<void>();

  constructor(components: ReadinessComponents) {
    this.#components = components;
  }

  /** All peers of a first listing have been reported. */
  onPeersKnown(): void {
    this.#peersKnown.resolve();
  }

  /**
   * Waits a moment for the first list of peers.
   *
   * @throws the signal's reason if aborted.
   */
  async waitForPeers(signal: AbortSignal): Promise<void> {
    const { state, clock } = this.#components;
    const patience = new AbortController();
    const known = await Promise.race([
      this.#peersKnown.promise.then(() => true),
      clock.sleep(PEERS_PATIENCE_MS, AbortSignal.any([signal, patience.signal]))
        .then(() => false, () => false),
    ]);
    patience.abort();
    signal.throwIfAborted();
    if (known) return;
    state.raise(
      "peers.unknown",
      "the other hosts are not known until etcd answers: loden doctor",
    );
    this.#peersKnown.promise.then(() => state.clear("peers.unknown"));
    log.warn("reporting ready before the other hosts are known", {
      event: "peers.unknown",
    });
  }

  /** Reports READY, unless that was done already. */
  sayReady({ plan, backend }: Network): void {
    const { state, tasks } = this.#components;
    state.enter("running");
    if (state.facts.ready) return;
    state.set({ ready: true });
    tasks.spawn("ready", (signal) => this.#notify(signal));
    log.info("ready", {
      event: "agent.ready",
      ...describePlan(plan),
      peers: backend.peers.size,
      fromSavedState: state.facts.fromSavedState,
    });
  }

  /** Repeats it until it is received: without READY the unit times out. */
  async #notify(signal: AbortSignal): Promise<void> {
    const { state, notifier, clock } = this.#components;
    while (!notifier.ready(describeStatus(state.summary()))) {
      await clock.sleep(READY_PAUSE_MS, signal);
    }
  }
}
