/**
 * `loden`: from the command line to an exit code. The only file that ends the
 * process.
 *
 * @module
 */

import type { CommandIo, UncaughtHandler } from "./commands/command.ts";
import { dispatch } from "./commands/dispatch.ts";
import { exitCodeOf, printError } from "./commands/failure.ts";
import { commandTable } from "./commands/table.ts";
import { FileWriteError } from "./linux/file_errors.ts";

const encoder = new TextEncoder();
let uncaughtHandler: UncaughtHandler | undefined;

/** A reader that has gone away (`loden config show | head`) is no failure. */
function writeOut(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return;
    throw new FileWriteError("the standard output", error);
  }
}

/** When even stderr cannot be written, there is nobody left to tell. */
function writeError(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    return;
  }
}

function writeAll(stream: typeof Deno.stdout, text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

const io: CommandIo = {
  argv: Deno.args,
  env: Deno.env.toObject(),
  stdout: writeOut,
  stderr: writeError,
  onSignal(signal, handler) {
    Deno.addSignalListener(signal, handler);
    return () => Deno.removeSignalListener(signal, handler);
  },
  onUncaught(handler) {
    uncaughtHandler = handler;
  },
  exitNow: (code) => Deno.exit(code),
};

/** No silent death: what nobody caught is printed, and ends with its code. */
function onUncaught(event: Event, error: unknown): void {
  event.preventDefault();
  if (uncaughtHandler?.(error)) return;
  printError(io, error);
  Deno.exit(exitCodeOf(error));
}

if (import.meta.main) {
  addEventListener("error", (event) => onUncaught(event, event.error));
  addEventListener(
    "unhandledrejection",
    (event) => onUncaught(event, event.reason),
  );
  Deno.exit(await dispatch(io, commandTable));
}
