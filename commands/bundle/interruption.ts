/**
 * Signals that end a command which has something to put away.
 *
 * @module
 */

import { signalExitCode } from "../../agent/exit_codes.ts";
import type { CommandIo } from "../command.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** The first signal ends the work in order, the second one the process. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #ends: readonly (() => void)[];
  #exitCode: number | undefined;

  constructor(io: Pick<CommandIo, "onSignal" | "exitNow">) {
    this.#ends = SIGNALS.map((name) =>
      io.onSignal(name, () => {
        if (this.#exitCode !== undefined) io.exitNow(this.#exitCode);
        this.#exitCode = signalExitCode(name);
        this.#controller.abort(new DOMException(name, "AbortError"));
      })
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Once a signal has arrived. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  [Symbol.dispose](): void {
    for (const end of this.#ends) end();
  }
}
