/**
 * Where log events go: LogTape's configuration. The format is in
 * docs/logging.md.
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

/** The values of `--log-format`. */
export const LOG_FORMATS = ["auto", "text", "json"] as const;

/** A value of `--log-format`. */
export type LogFormat = typeof LOG_FORMATS[number];

/** What a person sets. */
export interface LoggingOptions {
  readonly format: LogFormat;
  /** flannel's `-v`: 0 shows info and above; 1 and more, debug and stacks. */
  readonly verbosity: number;
}

/** What is written to: stderr, outside of tests. */
export interface LogOutput {
  /** Bytes written, as `write(2)`; throws when there were none. */
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
  /** Whether the journal reads it. */
  isJournal(): boolean;
}

/**
 * Sends every event to stderr, one line each, at once: the last line before the
 * process ends is not lost. May be called again, with other options.
 */
export function configureLogging(
  options: LoggingOptions,
  output: LogOutput = stderr,
): void {
  const sink = lineSink(chooseFormatter(options, output), output);
  configureSync({
    reset: true,
    sinks: { output: sink },
    loggers: [
      {
        category: "loden",
        lowestLevel: options.verbosity >= 1 ? "debug" : "info",
        sinks: ["output"],
      },
      // What LogTape says about itself: a defect of ours, worth seeing.
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
  const colors = output.isTerminal() && !Deno.noColor;
  return textFormatter({ stacks, colors });
}

/**
 * A sink that never throws: whoever reads the log may go away (EPIPE) or fill
 * its disk, and packets must flow on. Lines that could not be written are
 * counted, and the number is the first thing that is written when it works again.
 */
function lineSink(format: LineFormatter, output: LogOutput): Sink {
  let lost = 0;
  let inLine = false;
  const write = (line: string): boolean => {
    const bytes = new TextEncoder().encode(
      inLine ? `\n${line}\n` : `${line}\n`,
    );
    // A reader that was given up once is not waited for at every line.
    const written = writeAll(output, bytes, lost > 0 ? 0 : FULL_PIPE_TRIES);
    if (written > 0) inLine = written < bytes.length;
    return written === bytes.length;
  };
  return (record) => {
    if (lost > 0 && write(format(lostLines(record.timestamp, lost)))) lost = 0;
    if (lost > 0 || !write(format(record))) lost++;
  };
}

/** How often a full pipe is tried again, 1 ms apart, before a line is given up. */
const FULL_PIPE_TRIES = 20;

/** @returns the number of bytes that were taken. */
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
      // Somebody who shares stderr with us may have made it non-blocking.
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
 * Whether file descriptor 2 is the journal's: systemd names the device and inode
 * of what it connected (systemd.exec(5)), since a child may have redirected it.
 */
function isJournalStream(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return journalStream === `${dev}:${ino}`;
  } catch {
    // No /proc, or no permission to look: then it is text like any other.
    return false;
  }
}
