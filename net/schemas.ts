/**
 * Schemas of values that several JSON texts hold. A message ends the sentence
 * "… must be".
 *
 * @module
 */

import * as v from "valibot";
import { parseCidr } from "./cidr.ts";
import { parseIpv4 } from "./ipv4.ts";

/** A text that `parse` reads; `rule` says which texts those are. */
export function textOf<T>(
  parse: (text: string) => T | undefined,
  rule: string,
): v.GenericSchema<unknown, T> {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(
      ({ dataset: { value: text }, addIssue, NEVER }) => {
        const value = typeof text === "string" ? parse(text) : undefined;
        if (value !== undefined) return value;
        addIssue({ message: rule });
        return NEVER;
      },
    ),
  );
}

/** The value of a JSON text; `undefined` for any other text. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A JSON text. */
export const jsonText = textOf(jsonIn, "JSON");

/** `10.1.5.0/24`. */
export const cidrText = textOf(parseCidr, "a.b.c.d/len");

/** `10.1.5.1`. */
export const ipv4Text = textOf(parseIpv4, "a.b.c.d");

/** RFC 3339, as milliseconds since 1970. */
export const timeText = textOf((text) => {
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}, "a time, as in RFC 3339");

/** A word of a later version says nothing that this one could use. */
export const dataPathName = v.fallback(
  v.optional(v.picklist(["ebpf", "tun"])),
  undefined,
);

/** `peers.3.subnet must be a.b.c.d/len`. */
export function describeIssue(issue: v.BaseIssue<unknown>): string {
  const rule = issue.received === "undefined" ? "present" : issue.message;
  return `${v.getDotPath(issue) ?? "it"} must be ${rule}`;
}
