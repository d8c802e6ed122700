/**
 * Ctrl-C for programs that have something to put away.
 *
 * @module
 */

/** The process was asked to end. */
export class Interrupted extends Error {
  /** 128 + the signal's number, as a shell reports it. */
  readonly exitCode: number;

  constructor(signal: Deno.Signal, number: number) {
    super(`interrupted by ${signal}`);
    this.name = "Interrupted";
    this.exitCode = 128 + number;
  }
}

const SIGNALS = [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]] as const;

/**
 * The first signal aborts `signal` with {@linkcode Interrupted}, so that the
 * program can end in order. The second one runs `lastResort`, which must not
 * wait for anything, and ends the process.
 */
export function onInterrupt(
  lastResort: () => void,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const listeners = SIGNALS.map(([name, number]) => {
    const listener = () => {
      const reason = new Interrupted(name, number);
      if (!controller.signal.aborted) return controller.abort(reason);
      lastResort();
      Deno.exit(reason.exitCode);
    };
    Deno.addSignalListener(name, listener);
    return [name, listener] as const;
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const [name, listener] of listeners) {
        Deno.removeSignalListener(name, listener);
      }
    },
  };
}
