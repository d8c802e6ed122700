/**
 * Runs the host's network and moves it from one plan to the next.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import { describeError } from "../../errors.ts";
import { TaskQueue } from "../../linux/task_queue.ts";
import { type Cidr, equalCidr } from "../../net/cidr.ts";
import type { PeerDiff } from "../../net/peer.ts";
import type { Footprint } from "../instance/footprint.ts";
import {
  Network,
  type NetworkComponents,
  type NetworkOptions,
} from "./network.ts";
import {
  describePlanChange,
  isSamePlan,
  type NetworkPlan,
  planFacts,
} from "./network_plan.ts";
import { NewestTask } from "../tasks/newest_task.ts";

const log = getLogger(["loden", "agent"]);

/** What the supervisor needs. */
export interface NetworkSupervisorComponents
  extends Omit<NetworkComponents, "onBackends"> {
  /** Backends by which this host serves peers: the network's own first. */
  readonly serve: (backendTypes: readonly string[]) => void;
  /** Throws if another agent on this host has an overlapping network. */
  readonly refuseNetworkOfOthers: (network: Cidr) => Promise<void>;
  /** Records what the agent is about to leave on the host. */
  readonly saveFootprint: (
    footprint: Footprint,
    config: NetworkConfig,
  ) => Promise<void>;
}

/** Derives a plan from the former one. */
type NextPlan = (before: NetworkPlan | undefined) => NetworkPlan;

/**
 * Keeps one {@linkcode Network} on the newest plan. Changes come at any time,
 * also while an earlier one is in progress or waiting: what they have in common
 * stays, and the newest one wins.
 */
export class NetworkSupervisor {
  readonly #components: NetworkSupervisorComponents;
  readonly #options: NetworkOptions;
  #current: Network | undefined;
  #isPlanned = false;
  /** Plans are checked and adopted one after the other. */
  readonly #adopting = new TaskQueue();
  readonly #bringUp = new NewestTask();
  /** The backends in the record. */
  #saved = "";
  /** Records are written one after the other, so that the last one stays. */
  readonly #saving = new TaskQueue();

  constructor(
    components: NetworkSupervisorComponents,
    options: NetworkOptions,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /** `undefined` until the first plan is adopted. */
  get current(): Network | undefined {
    return this.#current;
  }

  /** Whether there has been a plan, adopted or not. */
  get isPlanned(): boolean {
    return this.#isPlanned;
  }

  /**
   * Makes the network run with this plan, for the first time or in place of
   * another one. Resolves when it runs with this or a later plan.
   *
   * @throws errors that waiting cannot cure; the signal's reason if aborted. A
   * running network does not change if its next plan is refused.
   */
  async replan(plan: NetworkPlan, signal: AbortSignal): Promise<void> {
    const hasChanged = await this.#adopt(() => plan);
    signal.throwIfAborted();
    await (hasChanged ? this.#makeSo(signal) : this.#bringUp.settled);
  }

  /**
   * The same for a part of the newest plan, which must exist. Resolves when the
   * change is adopted, without waiting until the network runs with it.
   */
  async change(part: Partial<NetworkPlan>): Promise<void> {
    const hasChanged = await this.#adopt((before) => {
      if (before === undefined) {
        throw new TypeError("Cannot change a network: it must have a plan");
      }
      return { ...before, ...part };
    });
    if (!hasChanged) return;
    this.#components.tasks.spawn(
      "network change",
      (signal) => this.#makeSo(signal),
    );
  }

  /** A first listing of the peers is complete. */
  confirmPeers(): void {
    this.#current?.backend.confirmPeers();
  }

  /** Updates the peers; without a network there are none. */
  async apply(diff: PeerDiff): Promise<void> {
    await this.#adopting.idle;
    await this.#current?.backend.apply(diff);
  }

  /**
   * Stops the process's part; whatever carries traffic without the agent stays.
   */
  async stop(): Promise<void> {
    await this.#current?.stop();
  }

  async #makeSo(signal: AbortSignal): Promise<void> {
    const network = this.#current!;
    await this.#bringUp.run((ending) => network.bringUp(ending), signal);
  }

  /** @returns whether anything has to change. */
  #adopt(next: NextPlan): Promise<boolean> {
    this.#isPlanned = true;
    return this.#adopting.run(() => this.#adoptNow(next));
  }

  async #adoptNow(next: NextPlan): Promise<boolean> {
    const before = this.#current?.plan;
    const plan = next(before);
    if (before !== undefined && isSamePlan(before, plan)) {
      this.#current!.adopt(plan);
      this.#components.state.set(planFacts(plan));
      return false;
    }
    const { network } = plan.config.pool;
    const formerNetwork = before?.config.pool.network;
    if (formerNetwork === undefined || !equalCidr(formerNetwork, network)) {
      await this.#components.refuseNetworkOfOthers(network);
    }
    await this.#saveFootprint(plan);
    if (before !== undefined) logChange(before, plan);
    this.#components.state.set(planFacts(plan));
    if (this.#current === undefined) {
      this.#current = new Network(plan, {
        ...this.#components,
        onBackends: (backends) => this.#onBackends(backends),
      }, this.#options);
    } else {
      this.#current.adopt(plan);
    }
    return true;
  }

  /** Cleanup and the next start need to know of all of them. */
  #onBackends(backends: readonly BackendConfig[]): void {
    const { serve, tasks } = this.#components;
    serve(backends.map(({ type }) => type));
    const plan = this.#current?.plan;
    if (plan === undefined || describe(backends) === this.#saved) return;
    tasks.spawn("footprint", () => this.#saveFootprint(plan));
  }

  /** The plan's, the running ones, and before a start those of the last run. */
  #backends({ backend }: NetworkConfig): readonly BackendConfig[] {
    const running = this.#current?.backend.backends ?? [];
    const others = running.length > 0 ? running : this.#options.formerBackends;
    return [backend, ...others.filter(({ type }) => type !== backend.type)];
  }

  #saveFootprint(plan: NetworkPlan): Promise<void> {
    return this.#saving.run(() => this.#saveNow(plan));
  }

  async #saveNow({ config, subnet }: NetworkPlan): Promise<void> {
    const { saveFootprint, files, state } = this.#components;
    const backends = this.#backends(config);
    this.#saved = describe(backends);
    try {
      await saveFootprint({
        network: config.pool.network,
        subnet,
        backends,
        files: files.map(({ path }) => path),
      }, config);
      state.clear("footprint.not-saved");
    } catch (error) {
      state.raise("footprint.not-saved", describeError(error));
      log.warn("cannot record what the agent leaves on the host", {
        event: "footprint.not-saved",
        error,
      });
    }
  }
}

function describe(backends: readonly BackendConfig[]): string {
  return JSON.stringify(backends);
}

function logChange(before: NetworkPlan, after: NetworkPlan): void {
  const changes = describePlanChange(before, after);
  const fields = { event: "agent.plan-changed", changes };
  if (equalCidr(before.subnet, after.subnet)) {
    log.info("network changes", { ...fields, restartDocker: false });
  } else {
    log.warn("network changes: Docker must be restarted", {
      ...fields,
      restartDocker: true,
    });
  }
}
