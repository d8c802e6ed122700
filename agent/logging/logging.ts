/**
 * Configures LogTape. docs/logging.md defines the format.
 *
 * @module
 */

import { configureSync, type LogRecord, type Sink } from "@logtape/logtape";
import {
  journalFormatter,
  jsonFormatter,
  type LineFormatter,
  textFormatter,
} from "./log_line.ts";
import { mayHaveColors } from "../../linux/terminal.ts";

/** The values of `--log-format`. */
const LOG_FORMATS = ["auto", "text", "json"] as const;

/** A value of `--log-format`. */
export type LogFormat = typeof LOG_FORMATS[number];

/** The settings. */
export interface LoggingOptions {
  readonly format: LogFormat;
  /** flannel's `-v`: 0 shows info and above; 1 and more, debug and stacks. */
  readonly verbosity: number;
  /** Gets every record that is written, too. */
  readonly observe?: Sink;
}

/** The output: stderr, outside tests. */
export interface LogOutput {
  /**
   * Returns the number of bytes written, like `write(2)`; throws if there were
   * none.
   */
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
  /** Whether it goes to the journal. */
  isJournal(): boolean;
}

/**
 * Writes every event to stderr at once, one line each, so that the last line
 * before the process ends is not lost. May be called again with other options.
 */
export function configureLogging(
  options: LoggingOptions,
  output: LogOutput = stderr,
): void {
  const sink = lineSink(chooseFormatter(options, output), output);
  configureSync({
    reset: true,
    sinks: { output: sink, observer: options.observe ?? (() => {}) },
    loggers: [
      {
        category: "loden",
        lowestLevel: options.verbosity >= 1 ? "debug" : "info",
        sinks: ["output", "observer"],
      },
      // LogTape's messages about itself show a bug of ours.
      {
        category: ["logtape", "meta"],
        lowestLevel: "warning",
        sinks: ["output"],
      },
    ],
  });
}

function chooseFormatter(
  { format, verbosity }: LoggingOptions,
  output: LogOutput,
): LineFormatter {
  const stacks = verbosity >= 1;
  if (format === "json") return jsonFormatter({ stacks });
  if (format === "auto" && output.isJournal()) {
    return journalFormatter({ stacks });
  }
  const colors = output.isTerminal() && mayHaveColors();
  return textFormatter({ stacks, colors });
}

/**
 * A sink that never throws: the reader of the log may go away (EPIPE) or its
 * disk may fill up, and packets must keep flowing. Lost lines are counted, and
 * their number is the first line when writing works again.
 */
function lineSink(format: LineFormatter, output: LogOutput): Sink {
  let lost = 0;
  let inLine = false;
  const write = (line: string): boolean => {
    const bytes = new TextEncoder().encode(
      inLine ? `\n${line}\n` : `${line}\n`,
    );
    // Do not wait at every line for a reader that was given up.
    const written = writeAll(output, bytes, lost > 0 ? 0 : FULL_PIPE_TRIES);
    if (written > 0) inLine = written < bytes.length;
    return written === bytes.length;
  };
  return (record) => {
    if (lost > 0 && write(format(lostLines(record.timestamp, lost)))) lost = 0;
    if (lost > 0 || !write(format(record))) lost++;
  };
}

/** How often a full pipe is tried, 1 ms apart, before a line is dropped. */
const FULL_PIPE_TRIES = 20;

/** @returns the number of bytes written. */
function writeAll(
  output: LogOutput,
  bytes: Uint8Array,
  tries: number,
): number {
  let written = 0;
  let triesLeft = tries;
  while (written < bytes.length) {
    try {
      written += output.writeSync(bytes.subarray(written));
    } catch (error) {
      // A process that shares our stderr may have made it non-blocking.
      const isFull = error instanceof Deno.errors.WouldBlock;
      if (!isFull || triesLeft-- === 0) return written;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return written;
}

function lostLines(timestamp: number, count: number): LogRecord {
  const message = "log lines were lost because they could not be written";
  return {
    category: ["loden", "agent"],
    level: "warning",
    message: [message],
    rawMessage: message,
    timestamp,
    properties: { event: "log.lost", count },
  };
}

const stderr: LogOutput = {
  writeSync: (bytes) => Deno.stderr.writeSync(bytes),
  isTerminal: () => Deno.stderr.isTerminal(),
  isJournal: () => isJournalStream(Deno.env.get("JOURNAL_STREAM")),
};

/**
 * Whether file descriptor 2 is the journal's. systemd gives the device and
 * inode of the stream that it connected (systemd.exec(5)), because stderr may
 * have been redirected since.
 */
function isJournalStream(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return journalStream === `${dev}:${ino}`;
  } catch {
    // Without /proc or the permission to read it, assume a plain file.
    return false;
  }
}
