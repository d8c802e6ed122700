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

/**
 * Ctrl-C reaches the whole foreground, and `deno task` hands its own on: what
 * follows at once is the same key press.
 */
const SAME_PRESS_MS = 250;

const SIGNALS = [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]] as const;

/**
 * The first signal aborts `signal` with {@linkcode Interrupted}, so that the
 * program can end in order. A later one runs `lastResort`, which must not wait
 * for anything, and ends the process.
 */
export function onInterrupt(
  lastResort: () => void,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  let firstAtMs = 0;
  const listeners = SIGNALS.map(([name, number]) => {
    const listener = () => {
      const reason = new Interrupted(name, number);
      if (!controller.signal.aborted) {
        firstAtMs = performance.now();
        return controller.abort(reason);
      }
      if (performance.now() - firstAtMs < SAME_PRESS_MS) return;
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
