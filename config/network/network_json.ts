/**
 * JSON as Go's `encoding/json` reads it (compat 2.1).
 *
 * @module
 */

import { NetworkConfigError } from "../errors.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** An integer literal that Go reads into an integer. */
const GO_INTEGER_LITERAL = /^(0|-?[1-9][0-9]*)$/;

/**
 * Parses JSON. A number with a fraction or an exponent is returned as text: Go
 * refuses `24.0` and `2.4e1` for an integer, and Loden must agree with flannel
 * about each config.
 *
 * @throws {NetworkConfigError} `network.json`, also for text after the value.
 */
export function parseGoJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text, keepFractionsAsText);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const empty = text.trim() === "";
    throw new NetworkConfigError(
      "network.json",
      `Cannot use the network config from ${source}: it must be JSON: ${
        empty ? "current value is empty" : reason
      }`,
      { cause, hint: 'for example { "Network": "10.1.0.0/16" }' },
    );
  }
}

function keepFractionsAsText(
  this: unknown,
  _key: string,
  value: unknown,
  context?: { source?: string },
): unknown {
  const literal = context?.source;
  if (typeof value !== "number" || literal === undefined) return value;
  return GO_INTEGER_LITERAL.test(literal) ? value : literal;
}

/** Whether a value is a JSON object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object's keys in the spelling of `names`. */
export interface FoldedKeys {
  readonly known: JsonObject;
  /** Keys that no name matches, which Go ignores. */
  readonly unknown: readonly string[];
}

/**
 * Matches keys regardless of case; of several for one name, the last wins.
 * `null` counts as not given, except for the names in `nullCounts`, which
 * flannel parses with a reader of their own.
 */
export function foldKeys(
  object: JsonObject,
  names: readonly string[],
  nullCounts: readonly string[] = [],
): FoldedKeys {
  const known: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    const lower = key.toLowerCase();
    const name = names.find((name) => name.toLowerCase() === lower);
    if (name === undefined) unknown.push(key);
    else if (value !== null || nullCounts.includes(name)) known[name] = value;
  }
  return { known, unknown };
}
