/**
 * The service manager's watchdog, fed by the state of the data path.
 *
 * A process that hangs cannot feed it, and one that is broken in a way that a
 * restart may cure does not: systemd starts it anew. What a restart cannot cure
 * (an etcd that is away, a full disk) is no reason to withhold.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { WatchdogNotifier } from "../../host/systemd.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { AgentState } from "./state.ts";

const log = getLogger(["loden", "agent"]);

/** Signs of life within one timeout: sd_watchdog_enabled(3) advises two. */
const SIGNS_PER_TIMEOUT = 3;

/** What the watchdog is fed from. */
export interface WatchdogComponents {
  readonly state: Pick<AgentState, "unhealthy">;
  readonly notifier: WatchdogNotifier;
  readonly clock: Pick<Clock, "sleep">;
}

/**
 * Feeds it until `signal` is aborted.
 *
 * @param timeoutMs the service manager's patience (`WatchdogSec=`).
 */
export async function feedWatchdog(
  timeoutMs: number,
  { state, notifier, clock }: WatchdogComponents,
  signal: AbortSignal,
): Promise<void> {
  let withheld = false;
  do {
    const unhealthy = state.unhealthy();
    if (unhealthy.length === 0) notifier.watchdog();
    if (unhealthy.length > 0 && !withheld) {
      log.warn(
        "watchdog is not fed: systemd restarts the agent unless it recovers",
        {
          event: "systemd.watchdog-withheld",
          timeoutMs,
          warnings: unhealthy.map(({ code }) => code),
        },
      );
    }
    withheld = unhealthy.length > 0;
  } while (await slept(clock, timeoutMs / SIGNS_PER_TIMEOUT, signal));
}
