/**
 * The agent's state on its way to systemd.
 *
 * @module
 */

import type { ServiceNotifier } from "../host/systemd.ts";
import type { AgentState } from "./state.ts";
import { describeStatus } from "./status_line.ts";

/** Keeps the service manager's STATUS as the agent's state is. */
export class StatusReporter {
  readonly #state: Pick<AgentState, "summary" | "onChange">;
  readonly #notifier: Pick<ServiceNotifier, "status">;
  #end: (() => void) | undefined;
  #scheduled = false;

  constructor(
    state: Pick<AgentState, "summary" | "onChange">,
    notifier: Pick<ServiceNotifier, "status">,
  ) {
    this.#state = state;
    this.#notifier = notifier;
  }

  start(): void {
    this.#end = this.#state.onChange(() => {
      // One step changes several facts: they make one line.
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        if (this.#end === undefined) return;
        this.#notifier.status(describeStatus(this.#state.summary()));
      });
    });
  }

  stop(): void {
    this.#end?.();
    this.#end = undefined;
  }
}
