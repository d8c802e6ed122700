/**
 * One log event as one line: docs/logging.md.
 *
 * @module
 */

import type { LogRecord } from "@logtape/logtape";
import { bold, cyan, dim, red, yellow } from "@std/fmt/colors";
import { UNSAFE_CHARACTERS } from "../../linux/terminal.ts";
import { logFields, type LogValue } from "./log_fields.ts";

/** The levels that a line shows. */
export type LogLevelName = "debug" | "info" | "warn" | "error";

/** How a line is formatted; the result never contains a line break. */
export type LineFormatter = (record: LogRecord) => string;

/** Options of all formats. */
export interface LineOptions {
  /** Whether an Error's stack is shown. */
  readonly stacks: boolean;
}

const LEVELS: Readonly<Record<LogRecord["level"], LogLevelName>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  fatal: "error",
};

/** `<time> <level> <message> name=value …`; colours are for a terminal. */
export function textFormatter(
  options: LineOptions & { colors: boolean },
): LineFormatter {
  return (record) => {
    const time = new Date(record.timestamp).toISOString();
    const level = LEVELS[record.level];
    return options.colors
      ? `${dim(time)} ${LEVEL_COLORS[level](level.padEnd(5))} ` +
        textBody(record, options, bold, (name) => dim(`${name}=`))
      : `${time} ${level} ${textBody(record, options)}`;
  };
}

const LEVEL_COLORS: Readonly<Record<LogLevelName, (text: string) => string>> = {
  debug: dim,
  info: cyan,
  warn: yellow,
  error: red,
};

/** The priorities of syslog(3), which the journal reads from `<N>`: sd-daemon(3). */
const PRIORITIES: Readonly<Record<LogLevelName, number>> = {
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
};

/** As text, with the level in the journal's form and without its time stamp. */
export function journalFormatter(options: LineOptions): LineFormatter {
  return (record) =>
    `<${PRIORITIES[LEVELS[record.level]]}>${textBody(record, options)}`;
}

/** A JSON object: time, level, category, message, event, then the other fields. */
export function jsonFormatter(options: LineOptions): LineFormatter {
  return (record) =>
    escapeControls(JSON.stringify({
      time: new Date(record.timestamp).toISOString(),
      level: LEVELS[record.level],
      category: record.category.join("."),
      message: messageOf(record),
      ...Object.fromEntries(logFields(record.properties, options)),
    }));
}

function textBody(
  record: LogRecord,
  options: LineOptions,
  paintMessage = (text: string) => text,
  paintName = (name: string) => `${name}=`,
): string {
  const words = [paintMessage(escapeControls(messageOf(record)))];
  const fields = logFields(record.properties, options);
  if (record.properties.event === undefined) {
    // Without an event name, only the category identifies the source.
    fields.unshift(["category", record.category.join(".")]);
  }
  for (const [name, value] of fields) {
    const safeName = name.replace(/[^A-Za-z0-9_.-]/g, "_");
    words.push(paintName(safeName) + textValue(value));
  }
  return words.join(" ");
}

function messageOf(record: LogRecord): string {
  return record.message.map((part) => String(part)).join("");
}

/** Plain if that is unambiguous, otherwise as a JSON string. */
function textValue(value: LogValue): string {
  const text = typeof value === "string" ? value : compact(value);
  // Printable, and neither a space, a quote, a backslash nor "=".
  return /^[^\s"\\=\p{C}]+$/u.test(text) ? text : quote(text);
}

/** Lists of plain values read better with commas than as JSON. */
function compact(value: LogValue): string {
  const isPlainList = Array.isArray(value) && value.length > 0 &&
    value.every((item) => typeof item !== "object");
  return isPlainList ? value.join(",") : JSON.stringify(value);
}

function quote(text: string): string {
  return escapeControls(JSON.stringify(text));
}

/** JSON escapes for what is unsafe on a terminal. */
function escapeControls(text: string): string {
  return text.replace(
    UNSAFE_CHARACTERS,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
