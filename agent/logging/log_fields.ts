/**
 * Converts the fields of a log event into printable values.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";

/** A field that is ready for output. */
export type LogValue =
  | string
  | number
  | boolean
  | null
  | LogValue[]
  | { [name: string]: LogValue };

/**
 * Names that a line uses itself; a field with such a name gets the prefix
 * `field.`.
 */
const RESERVED = new Set(["time", "level", "category", "message"]);

const MAXIMUM_DEPTH = 6;

/**
 * Makes an event's properties printable: `event` first, the rest in the order
 * given, without absent ones. An Error becomes its message under its own name,
 * plus `<name>Code`, `<name>Hint`, `<name>Cause` and, with `stacks`,
 * `<name>Stack`. Never throws, whatever the properties are.
 */
export function logFields(
  properties: Readonly<Record<string, unknown>>,
  options: { stacks: boolean },
): [string, LogValue][] {
  const { event, ...rest } = properties;
  const fields: [string, LogValue][] = [];
  for (const [name, value] of Object.entries({ event, ...rest })) {
    if (value === undefined) continue;
    const safeName = RESERVED.has(name) ? `field.${name}` : name;
    if (value instanceof Error) {
      fields.push(...errorFields(safeName, value, options.stacks));
    } else {
      fields.push([safeName, printable(value, 0)]);
    }
  }
  return fields;
}

function errorFields(
  name: string,
  error: Error,
  stacks: boolean,
): [string, LogValue][] {
  const fields: [string, LogValue][] = [[name, describe(error)]];
  if (error instanceof LodenError) {
    fields.push([`${name}Code`, error.code]);
    if (error.hint) fields.push([`${name}Hint`, error.hint]);
  }
  const causes = causesOf(error);
  // Loden's messages often end with that of their cause; do not print it twice.
  const news = causes.map(describe).filter((text) =>
    !error.message.includes(text)
  );
  if (news.length > 0) fields.push([`${name}Cause`, news.join(": ")]);
  if (stacks) {
    const all = [error, ...causes].map((one) =>
      one instanceof Error ? one.stack ?? describe(one) : describe(one)
    );
    fields.push([`${name}Stack`, all.join("\ncaused by: ")]);
  }
  return fields;
}

function causesOf(error: Error): unknown[] {
  const causes: unknown[] = [];
  let current: unknown = error.cause;
  while (current !== undefined && causes.length < MAXIMUM_DEPTH) {
    causes.push(current);
    current = current instanceof Error ? current.cause : undefined;
  }
  return causes;
}

function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(printable(cause, 0));
  return cause.message === "" ? cause.name : cause.message;
}

function printable(value: unknown, depth: number): LogValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "object":
      return value === null ? null : printableObject(value, depth);
    default:
      return String(value);
  }
}

function printableObject(value: object, depth: number): LogValue {
  if (depth >= MAXIMUM_DEPTH) return "…";
  try {
    if (value instanceof Error) return describe(value);
    if (value instanceof Date) return value.toISOString();
    if (value instanceof Uint8Array) return value.toHex();
    if (value instanceof Map) return nested(value, depth);
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].map((item) => printable(item, depth + 1));
    }
    return nested(Object.entries(value), depth);
  } catch (error) {
    // A getter that throws must not lose the rest of the event.
    return `unprintable: ${error instanceof Error ? error.message : "?"}`;
  }
}

function nested(
  entries: Iterable<[unknown, unknown]>,
  depth: number,
): LogValue {
  const object: { [name: string]: LogValue } = {};
  for (const [name, value] of entries) {
    if (value !== undefined) object[String(name)] = printable(value, depth + 1);
  }
  return object;
}
