/**
 * Reports the agent's state to systemd.
 *
 * @module
 */

import type { ServiceNotifier } from "../../host/systemd.ts";
import type { Clock } from "../../linux/clock.ts";
import type { AgentState } from "./state.ts";
import { describeStatus } from "./status_line.ts";

/**
 * A start passes through many states in a moment. One message for each would
 * fill the service manager's queue (10 datagrams) and be unreadable.
 */
const PAUSE_MS = 100;
/**
 * Pause before a status that the service manager did not receive is sent again.
 */
const RETRY_MS = 1_000;

/** Keeps the service manager's STATUS up to date. */
export class StatusReporter {
  readonly #state: Pick<AgentState, "summary" | "onChange" | "msUntilVisible">;
  readonly #notifier: Pick<ServiceNotifier, "status">;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #stopping = new AbortController();
  #end: (() => void) | undefined;
  #scheduled = false;
  #awaitsWarning = false;

  constructor(
    state: Pick<AgentState, "summary" | "onChange" | "msUntilVisible">,
    notifier: Pick<ServiceNotifier, "status">,
    clock: Pick<Clock, "sleep">,
  ) {
    this.#state = state;
    this.#notifier = notifier;
    this.#clock = clock;
  }

  start(): void {
    this.#end = this.#state.onChange(() => this.#schedule(PAUSE_MS));
  }

  stop(): void {
    this.#end?.();
    this.#stopping.abort();
  }

  #schedule(pauseMs: number): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A stop ends the pause and the reports.
    this.#clock.sleep(pauseMs, this.#stopping.signal)
      .then(() => this.#report(), () => {});
  }

  #report(): void {
    this.#scheduled = false;
    const taken = this.#notifier.status(describeStatus(this.#state.summary()));
    if (!taken) this.#schedule(RETRY_MS);
    this.#awaitWarning();
  }

  /** A warning becomes visible by time alone, not by a change of the state. */
  #awaitWarning(): void {
    const waitMs = this.#state.msUntilVisible();
    if (waitMs === undefined || this.#awaitsWarning) return;
    this.#awaitsWarning = true;
    this.#clock.sleep(waitMs, this.#stopping.signal).then(() => {
      this.#awaitsWarning = false;
      this.#schedule(0);
    }, () => {});
  }
}
