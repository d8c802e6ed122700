/**
 * `loden`: from the command line to an exit code. The only file that ends the
 * process.
 *
 * @module
 */

import type {
  CommandIo,
  Terminal,
  UncaughtHandler,
} from "./commands/command.ts";
import { dispatch } from "./commands/dispatch.ts";
import { exitCodeOf, printError } from "./commands/failure.ts";
import { commandTable } from "./commands/table.ts";
import { FileWriteError } from "./linux/file_errors.ts";
import { isDumbTerminal, mayHaveColors } from "./linux/terminal.ts";

const encoder = new TextEncoder();
let uncaughtHandler: UncaughtHandler | undefined;

/**
 * A reader that closes its end (`loden config show | head`) is not a failure.
 */
function writeOut(text: string): boolean {
  try {
    writeAll(Deno.stdout, text);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw new FileWriteError("the standard output", error);
  }
}

/** If stderr cannot be written either, the message is lost. */
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

function terminal(): Terminal | undefined {
  return Deno.stdout.isTerminal() ? describeTerminal() : undefined;
}

function errorTerminal(): Terminal | undefined {
  return Deno.stderr.isTerminal() && !isDumbTerminal()
    ? describeTerminal()
    : undefined;
}

function describeTerminal(): Terminal {
  const { columns, rows } = Deno.consoleSize();
  return {
    // A terminal that does not know its size says 0.
    columns: columns > 0 ? columns : 80,
    rows: rows > 0 ? rows : 24,
    colors: mayHaveColors(),
  };
}

const io: CommandIo = {
  argv: Deno.args,
  env: Deno.env.toObject(),
  stdout: writeOut,
  stderr: writeError,
  terminal,
  errorTerminal,
  onSignal(signal, handler) {
    Deno.addSignalListener(signal, handler);
    return () => Deno.removeSignalListener(signal, handler);
  },
  onUncaught(handler) {
    uncaughtHandler = handler;
  },
  exitNow: (code) => Deno.exit(code),
};

/**
 * Prints an uncaught error and exits with its code, so the process never dies
 * silently.
 */
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
