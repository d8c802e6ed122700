/**
 * Keeps rules in place although other programs rewrite the firewall.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import { formatCidr } from "../../net/cidr.ts";
import { NoFirewallToolError } from "./errors.ts";
import type {
  AntiSpoofing,
  Firewall,
  FirewallRules,
  FirewallTool,
  RuleSet,
} from "./firewall.ts";
import type { NftablesMonitor } from "../../linux/netlink/nftables_monitor.ts";
import { TaskQueue } from "../../linux/task_queue.ts";
import type { FirewallSelection } from "./select_firewall.ts";

const log = getLogger(["loden", "firewall"]);

/** What the rules must know of the host's devices, read every few seconds. */
export interface FirewallDevices {
  /**
   * What containers must not send; returns `undefined` until it is known.
   * Without it there are no rules against spoofing.
   */
  readonly antiSpoofing: (() => AntiSpoofing | undefined) | undefined;
  /**
   * The present {@linkcode FirewallRules.directDevices}; `undefined` until they
   * are known.
   */
  readonly directDevices: () => readonly string[] | undefined;
}

/** What the keeper works with. */
export interface FirewallKeeperComponents extends FirewallDevices {
  /** Chooses the tool; called again until one works. */
  readonly select: (signal: AbortSignal) => Promise<FirewallSelection>;
  readonly clock: Clock;
  /** Reports changes by others; if it throws, the rules are polled. */
  readonly openMonitor: () => NftablesMonitor;
}

/** Called after each check of the rules, with the error or without one. */
export interface FirewallEvents {
  readonly onResult: (error: unknown | undefined) => void;
  /** For the anti-spoofing rules alone. */
  readonly onAntiSpoofing: (error: unknown | undefined) => void;
}

/** The settings. */
export interface FirewallKeeperOptions extends FirewallEvents {
  /**
   * `--iptables-resync`: how often to poll rules that need polling; at least 1.
   */
  readonly resyncSeconds: number;
}

/** What `loden status` shows. */
export interface FirewallStatus {
  /** `undefined` until a tool is chosen. */
  readonly tool: FirewallTool | undefined;
  /** Whether the rules were in place at the last check. */
  readonly inPlace: boolean;
}

/** Many changes at once, as when Docker starts, cause one check. */
const GATHER_MS = 50;
/** Shortest interval between two checks caused by changes of other programs. */
const LEAST_PAUSE_MS = 1_000;
/** Pause before a failed check is repeated. */
const RETRY_MS = 5_000;

/**
 * Sets the rules with {@linkcode ensure}. Once started, it restores rules that
 * others removed (compat 9.1). It checks the rules whenever the kernel reports
 * a change of nf_tables, including iptables on nf_tables. The kernel reports no
 * change of iptables-legacy: those rules are polled every `resyncSeconds`, and
 * so are all rules where the kernel's reports cannot be had.
 */
export class FirewallKeeper {
  readonly #components: FirewallKeeperComponents;
  readonly #options: FirewallKeeperOptions;
  #selection: FirewallSelection | undefined;
  /** Other tools, through which an earlier run may have set its rules. */
  #toClear: readonly RuleSet[] = [];
  #rules: FirewallRules | undefined;
  /** Whether they are known; there may be none. */
  #knowsDevices = false;
  #overlayDevice: string | undefined;
  #formerDevices: readonly string[] = [];
  #inPlace = false;
  /** What containers are kept from sending, once those rules are in place. */
  #againstSpoofing: string | undefined;
  /** The devices of the rules that are in place. */
  #directDevices = "";
  /** Whether the kernel's reports arrive. */
  #isFollowed = false;
  /** Monotonic time of the last look. */
  #lookedAtMs = 0;
  /** The last failure's message; a lasting failure is logged once. */
  #reported: string | undefined;
  /** The same for each bypass of Docker's rules. */
  readonly #reportedForDocker = new Map<string, string>();
  /** Serialises changes. */
  readonly #queue = new TaskQueue();
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    components: FirewallKeeperComponents,
    options: FirewallKeeperOptions,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /**
   * Sets the rules; from now on these rules are kept, even if this call fails.
   *
   * @throws {FirewallError}, which waiting may cure.
   */
  async ensure(wanted: FirewallRules, signal: AbortSignal): Promise<void> {
    this.#rules = wanted;
    await this.#queue.run(() => this.#ensureNow(wanted, signal));
  }

  /**
   * Sets the overlay device, whose packets bypass Docker's drops, and those of
   * former backends that still serve peers: at once, or with the first
   * {@linkcode ensure}.
   */
  setOverlayDevices(
    overlayDevice: string | undefined,
    formerDevices: readonly string[] = [],
  ): void {
    if (
      this.#knowsDevices && overlayDevice === this.#overlayDevice &&
      formerDevices.join() === this.#formerDevices.join() &&
      !this.#hasOtherDevices()
    ) return;
    this.#knowsDevices = true;
    this.#overlayDevice = overlayDevice;
    this.#formerDevices = formerDevices;
    void this.#lookAgain(this.#stop.signal);
  }

  /** Begins to keep the rules, until `stop` or the signal. */
  start(signal: AbortSignal): void {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#loop ??= this.#run(either);
  }

  /** Stops checking. The rules stay, so that packets are still forwarded. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#loop, this.#queue.idle]);
  }

  status(): FirewallStatus {
    return { tool: this.#selection?.firewall.tool, inPlace: this.#inPlace };
  }

  async #run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#runByClock(signal), this.#runByChanges(signal)]);
  }

  async #runByClock(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    const resyncMs = this.#options.resyncSeconds * 1_000;
    while (await slept(clock, Math.min(RETRY_MS, resyncMs), signal)) {
      const hasFailed = !this.#inPlace || this.#reportedForDocker.size > 0 ||
        this.#hasOtherDevices();
      const isDue = clock.monotonic() - this.#lookedAtMs >= resyncMs;
      if (hasFailed || (isDue && await this.#mustPoll(signal))) {
        await this.#lookAgain(signal);
      }
    }
  }

  /** Whether rules in place are not those of the present devices. */
  #hasOtherDevices(): boolean {
    const { antiSpoofing: ask, directDevices } = this.#components;
    const direct = directDevices();
    if (direct !== undefined && direct.join() !== this.#directDevices) {
      return true;
    }
    const now = ask?.();
    return now !== undefined && JSON.stringify(now) !== this.#againstSpoofing;
  }

  /** Whether a change of the rules can go unnoticed. */
  async #mustPoll(signal: AbortSignal): Promise<boolean> {
    if (!this.#isFollowed || this.#selection === undefined) return true;
    const { firewall, antiSpoofing, forDocker } = this.#selection;
    try {
      for (const set of [firewall, antiSpoofing, ...forDocker]) {
        if (!await set.reportsChanges(signal)) return true;
      }
      return false;
    } catch {
      // The look that follows reports what is wrong with the tool.
      return true;
    }
  }

  async #runByChanges(signal: AbortSignal): Promise<void> {
    const { clock, openMonitor } = this.#components;
    try {
      using monitor = openMonitor();
      this.#isFollowed = true;
      // What changed before the monitor was open was not reported.
      await this.#lookAgain(signal);
      for await (const _change of monitor.changes(signal)) {
        if (!await slept(clock, GATHER_MS, signal)) return;
        await this.#lookAgain(signal);
        // The kernel reports our own changes as well.
        if (!await slept(clock, LEAST_PAUSE_MS, signal)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#isFollowed = false;
      log.warn("firewall rules are polled", {
        event: "firewall.not-followed",
        seconds: this.#options.resyncSeconds,
        error,
      });
    }
  }

  /** A failure is reported, and the next check tries again. */
  async #lookAgain(signal: AbortSignal): Promise<void> {
    const rules = this.#rules;
    if (rules === undefined) return;
    try {
      await this.#queue.run(() => this.#ensureNow(rules, signal));
    } catch (error) {
      if (signal.aborted) return;
      log.debug("trying to set the firewall rules again", {
        event: "firewall.retry",
        seconds: Math.min(RETRY_MS / 1_000, this.#options.resyncSeconds),
        error,
      });
    }
  }

  async #ensureNow(rules: FirewallRules, signal: AbortSignal): Promise<void> {
    this.#lookedAtMs = this.#components.clock.monotonic();
    try {
      await this.#set(rules, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#inPlace = false;
      // The tool may have been removed, or another one installed, in the
      // meantime.
      this.#selection = undefined;
      this.#report(error);
      this.#options.onResult(error);
      throw error;
    }
    this.#inPlace = true;
    if (this.#reported !== undefined) {
      log.info("firewall rules are in place again", {
        event: "firewall.recovered",
      });
    }
    this.#reported = undefined;
    this.#options.onResult(undefined);
  }

  async #set(rules: FirewallRules, signal: AbortSignal): Promise<void> {
    const firewall = await this.#firewallFor(rules, signal);
    if (firewall === undefined) return;
    const changes = await firewall.ensure(rules, signal);
    if (changes.length > 0) {
      log.info("firewall rules set", {
        event: "firewall.set",
        tool: firewall.tool,
        network: formatCidr(rules.network),
        changes,
      });
    }
    // Only now, so that the rules are never missing.
    for (const other of this.#toClear) await this.#clear(other, rules, signal);
    this.#toClear = [];
    await this.#setAntiSpoofing(rules, signal);
    // The bypass of the last run stays until this run knows its device.
    if (!this.#knowsDevices) return;
    const overlayDevice = this.#overlayDevice;
    const formerDevices = this.#formerDevices;
    const directDevices = this.#components.directDevices();
    if (directDevices === undefined) return;
    const wanted = { ...rules, overlayDevice, formerDevices, directDevices };
    for (const set of this.#selection?.forDocker ?? []) {
      await this.#setForDocker(set, wanted, signal);
    }
    this.#directDevices = directDevices.join();
  }

  /** The last run's rules stay until this one knows its devices. */
  async #setAntiSpoofing(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<void> {
    const { antiSpoofing: ask } = this.#components;
    const set = this.#selection?.antiSpoofing;
    const antiSpoofing = ask?.();
    if (
      set === undefined || (ask !== undefined && antiSpoofing === undefined)
    ) {
      return;
    }
    const overlayDevice = this.#overlayDevice;
    const { onAntiSpoofing } = this.#options;
    try {
      const formerDevices = this.#formerDevices;
      const wanted = { ...rules, overlayDevice, formerDevices, antiSpoofing };
      const changes = await set.ensure(wanted, signal);
      this.#againstSpoofing = JSON.stringify(antiSpoofing);
      onAntiSpoofing(undefined);
      if (changes.length === 0) return;
      log.info("rules against spoofing set", {
        event: "firewall.anti-spoofing",
        tool: set.tool,
        changes,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      // Packets that are wanted flow all the same.
      this.#againstSpoofing = undefined;
      onAntiSpoofing(error);
    }
  }

  async #setForDocker(
    set: RuleSet,
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<void> {
    let changes: string[];
    try {
      changes = await set.ensure(rules, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // This failure does not affect the other rules.
      this.#reportForDocker(set, error);
      return;
    }
    this.#reportedForDocker.delete(set.purpose);
    if (changes.length === 0) return;
    log.info("overlay packets bypass Docker's drop rules", {
      event: "firewall.docker-pass",
      tool: set.tool,
      device: rules.overlayDevice,
      directDevices: rules.directDevices,
      changes,
    });
  }

  /** `undefined` if no rules are wanted and no tool works. */
  async #firewallFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<Firewall | undefined> {
    if (this.#selection !== undefined) return this.#selection.firewall;
    try {
      this.#selection = await this.#components.select(signal);
    } catch (error) {
      const isUnneeded = !rules.masquerade && !rules.forward;
      if (isUnneeded && error instanceof NoFirewallToolError) {
        const isWanted = this.#components.antiSpoofing !== undefined;
        this.#options.onAntiSpoofing(isWanted ? error : undefined);
        return undefined;
      }
      throw error;
    }
    const { firewall, reason, others } = this.#selection;
    this.#toClear = others;
    log.info("firewall tool chosen", {
      event: "firewall.chosen",
      tool: firewall.tool,
      reason,
    });
    return firewall;
  }

  /** Removes the rules that this agent set with the other tool (compat 9.4). */
  async #clear(
    other: RuleSet,
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const { network } = rules;
      const changes = await other.remove({ network }, signal);
      if (changes.length === 0) return;
      log.info("firewall rules of another tool removed", {
        event: "firewall.other-removed",
        tool: other.tool,
        changes,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      // Two sets of the same rules do no harm.
      log.warn("firewall rules of another tool could not be removed", {
        event: "firewall.other-stays",
        tool: other.tool,
        error,
      });
    }
  }

  #reportForDocker({ tool, purpose }: RuleSet, error: unknown): void {
    const reason = describeError(error);
    if (this.#reportedForDocker.get(purpose) === reason) return;
    this.#reportedForDocker.set(purpose, reason);
    log.warn("overlay packets cannot bypass Docker's drop rules", {
      event: "firewall.docker-blocked",
      tool,
      error,
    });
  }

  #report(error: unknown): void {
    const reason = describeError(error);
    if (reason === this.#reported) return;
    this.#reported = reason;
    log.error("firewall rules are not in place", {
      event: "firewall.failed",
      error,
    });
  }
}
