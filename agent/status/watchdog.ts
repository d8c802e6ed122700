/**
 * Feeds the service manager's watchdog while the data path is healthy.
 *
 * A process that hangs cannot feed it, and one whose problem a restart may
 * solve does not: systemd then restarts it. Problems that a restart cannot
 * solve (etcd is away, a full disk) do not stop the feeding.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { WatchdogNotifier } from "../../host/systemd.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { AgentState } from "./state.ts";

const log = getLogger(["loden", "agent"]);

/** Keep-alives within one timeout: sd_watchdog_enabled(3) advises two. */
const SIGNS_PER_TIMEOUT = 3;

/** What decides whether to feed the watchdog. */
export interface WatchdogComponents {
  readonly state: Pick<AgentState, "unhealthy">;
  readonly notifier: WatchdogNotifier;
  readonly clock: Pick<Clock, "sleep">;
}

/**
 * Feeds it until `signal` is aborted.
 *
 * @param timeoutMs the service manager's timeout (`WatchdogSec=`).
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
