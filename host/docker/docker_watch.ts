/**
 * Watches this host's Docker while the network runs: it may be started,
 * restarted or reconfigured at any time.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { LodenError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type { Cidr } from "../../net/cidr.ts";
import { type BridgeFit, checkBridges } from "./bridge_fit.ts";
import type { DaemonConfig } from "./daemon_config.ts";
import type { DropsContext } from "./docker_drops.ts";
import type { DockerProblem } from "./docker_problem.ts";
import type { StaleOptionsContext } from "./stale_options.ts";

const log = getLogger(["loden", "docker"]);

/** Interval between two checks. */
const PAUSE_MS = 10_000;
/**
 * The same while Docker runs and no bridge is on the lease: an operator who has
 * just restarted Docker must not be told to do so.
 */
const UNFIT_PAUSE_MS = 1_000;
/**
 * When Docker starts, its rules come first for a moment, until ours are back in
 * front of them.
 */
const SECOND_LOOK_MS = 2_000;

/** The result of one check. */
export interface DockerLook {
  /** `undefined` if no daemon runs in this network namespace. */
  readonly status: DockerStatus | undefined;
  readonly problems: readonly DockerProblem[];
}

/** The daemon and its bridge, for people. */
export interface DockerStatus {
  /** `28.2.1`. Always `null` from the agent: `loden status` asks the daemon. */
  readonly version: string | null;
  /** The bridge on this host's lease: `docker0 10.1.5.1/24`. */
  readonly bridge: string | null;
  /** `iptables` or `nftables` (28.2 and later). From the agent `null`, too. */
  readonly firewall: string | null;
}

/** What is looked at. */
export interface DockerWatchComponents {
  readonly clock: Clock;
  readonly rtnetlink: Pick<Rtnetlink, "links" | "addresses">;
  /** `host/docker/engine.ts`. */
  readonly isEngineRunning: () => Promise<boolean>;
  readonly readConfig: () => Promise<DaemonConfig>;
  /** `host/docker/docker_drops.ts`. */
  readonly findDrops: (
    context: DropsContext,
    signal: AbortSignal,
  ) => Promise<DockerProblem | undefined>;
  /** `host/docker/stale_options.ts`; an absent file is not stale. */
  readonly checkStaleOptions: (
    context: Pick<StaleOptionsContext, "network" | "subnet">,
  ) => DockerProblem | undefined;
}

/** The overlay. */
export interface DockerWatchSubject {
  readonly network: Cidr;
  readonly subnet: Cidr;
  /** `--iptables-forward-rules`. */
  readonly forward: boolean;
  /** `--ip-masq`. */
  readonly masquerade: boolean;
  /** `undefined` for a backend without a device of its own. */
  readonly overlayDevice: string | undefined;
  /** Where packets of peers arrive without encapsulation. */
  readonly directDevices: () => readonly string[];
}

/** Checks at once and again and again, and reports each result, until aborted. */
export async function watchDocker(
  components: DockerWatchComponents,
  subject: DockerWatchSubject,
  onLook: (look: DockerLook) => void,
  signal: AbortSignal,
): Promise<void> {
  const watch = new DockerWatch(components, subject);
  try {
    let pauseMs: number;
    do {
      const look = await watch.look(signal);
      if (look !== undefined) onLook(look);
      pauseMs = look?.status?.bridge === null ? UNFIT_PAUSE_MS : PAUSE_MS;
    } while (await slept(components.clock, pauseMs, signal));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

class DockerWatch {
  readonly #components: DockerWatchComponents;
  readonly #subject: DockerWatchSubject;
  /** Why the last check failed; the same reason is logged once. */
  #failure: string | undefined;

  constructor(components: DockerWatchComponents, subject: DockerWatchSubject) {
    this.#components = components;
    this.#subject = subject;
  }

  /** `undefined` if the check failed. */
  async look(signal: AbortSignal): Promise<DockerLook | undefined> {
    try {
      const look = await this.#look(signal);
      this.#failure = undefined;
      return look;
    } catch (error) {
      if (signal.aborted || !(error instanceof LodenError)) throw error;
      if (this.#failure !== error.message) {
        log.warn("cannot check whether Docker fits the overlay", {
          event: "docker.unseen",
          error,
        });
      }
      this.#failure = error.message;
      return undefined;
    }
  }

  async #look(signal: AbortSignal): Promise<DockerLook> {
    const { isEngineRunning, readConfig, checkStaleOptions } = this.#components;
    const problems: (DockerProblem | undefined)[] = [
      checkStaleOptions(this.#subject),
    ];
    // A bridge without a daemon gets a new address when the daemon starts.
    if (!await isEngineRunning()) {
      return { status: undefined, problems: present(problems) };
    }
    const config = await readConfig();
    const fit = this.#checkBridges(config);
    problems.push(fit.problem);
    if (fit.onLease !== undefined) {
      problems.push(await this.#findDrops(config, signal));
    }
    return {
      status: { version: null, bridge: fit.onLease ?? null, firewall: null },
      problems: present(problems),
    };
  }

  #checkBridges(config: DaemonConfig): BridgeFit {
    const { rtnetlink } = this.#components;
    return checkBridges(
      { ...this.#subject, config },
      rtnetlink.links(),
      rtnetlink.addresses(),
    );
  }

  async #findDrops(
    config: DaemonConfig,
    signal: AbortSignal,
  ): Promise<DockerProblem | undefined> {
    const { findDrops, clock } = this.#components;
    const context = {
      ...this.#subject,
      directDevices: this.#subject.directDevices(),
      config,
    };
    if (await findDrops(context, signal) === undefined) return undefined;
    await clock.sleep(SECOND_LOOK_MS, signal);
    return await findDrops(context, signal);
  }
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}
