/**
 * Follows the underlay while the network runs: DHCP gives another address, an
 * interface goes down, comes back under another index or has another MTU.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { UnderlayFinding } from "../../host/underlay_look.ts";
import type { UnderlayWarning } from "../../host/underlay_warnings.ts";
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
 * An address that is taken away and given back, as by a restart of networkd, is
 * worth a moment's wait before the host goes to another interface or complains.
 */
const DOUBT_MS = 2_000;
/** In case a change was not told. */
const LOOK_ANYWAY_MS = 30_000;

/** How the watch sees the host. */
export interface UnderlayView {
  readonly openMonitor: () => RtnetlinkMonitor;
  /** What has become of the underlay that is in use. */
  readonly look: (current: Underlay) => UnderlayFinding;
  /** What looks wrong about one that can be used. */
  readonly warnings: (underlay: Underlay) => readonly UnderlayWarning[];
}

/** What the watch stands on. */
export interface UnderlayWatchComponents {
  readonly clock: Clock;
  readonly state: AgentState;
  readonly underlayView: UnderlayView;
}

/** What the watch is for. */
export interface UnderlayWatchOptions {
  /** What is in use. */
  readonly current: () => Underlay;
  /**
   * Makes the network run on this one, which is what is in use afterwards; does
   * not wait until it does.
   */
  readonly apply: (underlay: Underlay) => Promise<void>;
}

/** Looks when the kernel tells of a change; what runs goes on meanwhile. */
export class UnderlayWatch {
  readonly #components: UnderlayWatchComponents;
  readonly #options: UnderlayWatchOptions;
  #woken = Promise.withResolvers<void>();
  /** Since when what is found may be over in a moment; monotonic. */
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
    // What changed between the choice and now was not told to anybody.
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
      // It has been told to end early.
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

/** Whether the next moment may show something else. */
function isDoubtful(current: Underlay, finding: UnderlayFinding): boolean {
  return finding.kind === "unusable" ||
    finding.underlay.interfaceIndex !== current.interfaceIndex;
}

/** One line for each value that is another one now; empty when none is. */
export function describeUnderlayChange(
  before: Underlay,
  after: Underlay,
): string[] {
  const [from, to] = [shownValues(before), shownValues(after)];
  return Object.keys(from).filter((key) => from[key] !== to[key])
    .map((key) => `${key}: ${from[key]} -> ${to[key]}`);
}

/**
 * Whether connections that this host has made may hang: they were made from an
 * address, or by an interface, that is not there any more.
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
