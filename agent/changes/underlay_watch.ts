/**
 * Follows the underlay while the network runs: DHCP may assign another address,
 * an interface may go down, come back with another index or change its MTU.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { UnderlayFinding } from "../../host/underlay/underlay_look.ts";
import type { UnderlayWarning } from "../../host/underlay/underlay_warnings.ts";
import type { Clock } from "../../linux/clock.ts";
import type {
  RtnetlinkMonitor,
  RtnetlinkTable,
} from "../../linux/netlink/rtnetlink_monitor.ts";
import type { Underlay } from "../../net/underlay.ts";
import type { AgentState } from "../status/state.ts";
import { reportUnderlayWarnings } from "../status/host_report.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";

const log = getLogger(["loden", "agent"]);

/** One `dhclient` run or `ip` script makes several changes. */
const SETTLE_MS = 200;
/**
 * An address may disappear and come back, as when networkd restarts, so wait a
 * moment before moving to another interface or complaining.
 */
const DOUBT_MS = 2_000;
/** In case a change was not reported. */
const LOOK_ANYWAY_MS = 30_000;

/** How the watch sees the host. */
export interface UnderlayView {
  readonly openMonitor: () => RtnetlinkMonitor;
  /** Checks the underlay in use. */
  readonly look: (current: Underlay) => UnderlayFinding;
  /** Warnings about a usable underlay. */
  readonly warnings: (underlay: Underlay) => readonly UnderlayWarning[];
}

/** What the watch needs. */
export interface UnderlayWatchComponents {
  readonly clock: Clock;
  readonly state: AgentState;
  readonly underlayView: UnderlayView;
}

/** Options of the watch. */
export interface UnderlayWatchOptions {
  /** The underlay in use. */
  readonly current: () => Underlay;
  /**
   * Moves the network to this underlay, which is then the one in use; does not
   * wait until that is done.
   */
  readonly apply: (underlay: Underlay) => Promise<void>;
}

/**
 * Checks when the kernel reports a change; the network keeps running meanwhile.
 */
export class UnderlayWatch {
  readonly #components: UnderlayWatchComponents;
  readonly #options: UnderlayWatchOptions;
  #woken = Promise.withResolvers<void>();
  /** Since when a possibly temporary problem exists; monotonic. */
  #doubtedSinceMs: number | undefined;

  constructor(
    components: UnderlayWatchComponents,
    options: UnderlayWatchOptions,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /** Runs until the signal is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#listen(signal), this.#keepLooking(signal)]);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    try {
      using monitor = this.#components.underlayView.openMonitor();
      for await (const tables of monitor.changes(signal)) {
        if (this.#concerns(tables)) this.#woken.resolve();
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn("changes of the underlay are noticed late", {
        event: "underlay.unwatched",
        everyMs: LOOK_ANYWAY_MS,
        error,
      });
    }
  }

  /** The agent's own routes change with every peer. */
  #concerns(tables: ReadonlySet<RtnetlinkTable>): boolean {
    return tables.has("links") || tables.has("addresses") ||
      this.#doubtedSinceMs !== undefined || this.#isMissing;
  }

  get #isMissing(): boolean {
    return this.#components.state.warnings()
      .some(({ code }) => code === "underlay.missing");
  }

  async #keepLooking(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    // Changes between the choice and now were not reported.
    this.#woken.resolve();
    while (!signal.aborted) {
      try {
        await this.#untilWoken(signal);
        await clock.sleep(SETTLE_MS, signal);
        this.#woken = Promise.withResolvers();
        await this.#look();
      } catch (error) {
        if (signal.aborted) return;
        log.warn("underlay cannot be read", {
          event: "underlay.unreadable",
          error,
        });
      }
    }
  }

  async #untilWoken(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    const pauseMs = this.#doubtedSinceMs === undefined
      ? LOOK_ANYWAY_MS
      : this.#doubtedSinceMs + DOUBT_MS - clock.monotonic();
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    const late = clock.sleep(pauseMs, either);
    try {
      await Promise.race([this.#woken.promise, late]);
    } finally {
      done.abort();
      // It was interrupted on purpose.
      late.catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { clock, underlayView } = this.#components;
    const current = this.#options.current();
    const finding = underlayView.look(current);
    if (isDoubtful(current, finding)) {
      const nowMs = clock.monotonic();
      this.#doubtedSinceMs ??= nowMs;
      if (nowMs - this.#doubtedSinceMs < DOUBT_MS) return;
    }
    this.#doubtedSinceMs = undefined;
    if (finding.kind === "unusable") this.#miss(finding.reason);
    else await this.#take(current, finding.underlay);
  }

  #miss(reason: string): void {
    if (!this.#components.state.raise("underlay.missing", reason)) return;
    log.error("underlay cannot be used; the network stays as it is", {
      event: "underlay.lost",
      reason,
    });
  }

  async #take(before: Underlay, after: Underlay): Promise<void> {
    const { state, underlayView } = this.#components;
    if (state.clear("underlay.missing")) {
      log.info("underlay can be used again", {
        event: "underlay.back",
        interface: after.interfaceName,
      });
    }
    reportUnderlayWarnings(underlayView.warnings(after), state);
    const changes = describeUnderlayChange(before, after);
    if (changes.length === 0) return;
    log.warn("underlay has changed; the network follows", {
      event: "underlay.changed",
      changes,
    });
    await this.#options.apply(after);
  }
}

/** Whether the problem may be temporary. */
function isDoubtful(current: Underlay, finding: UnderlayFinding): boolean {
  return finding.kind === "unusable" ||
    finding.underlay.interfaceIndex !== current.interfaceIndex;
}

/** One line per changed value; empty if there is none. */
function describeUnderlayChange(
  before: Underlay,
  after: Underlay,
): string[] {
  const [from, to] = [shownValues(before), shownValues(after)];
  return Object.keys(from).filter((key) => from[key] !== to[key])
    .map((key) => `${key}: ${from[key]} -> ${to[key]}`);
}

/**
 * Whether this host's connections may hang, because their address or interface
 * is gone.
 */
export function isElsewhere(before: Underlay, after: Underlay): boolean {
  return before.address !== after.address ||
    before.interfaceIndex !== after.interfaceIndex;
}

function shownValues(underlay: Underlay): Record<string, string> {
  return {
    interface: underlay.interfaceName,
    index: String(underlay.interfaceIndex),
    address: formatIpv4(underlay.address),
    PublicIP: formatIpv4(underlay.publicIp),
    MTU: String(underlay.mtuBytes),
    "hardware address": formatMac(underlay.mac),
  };
}
