/**
 * Schemas of options that several backends have. The messages end the sentence
 * "… must be".
 *
 * @module
 */

import * as v from "valibot";

/** A whole number from `least` to `most`, which may be left out. */
export function wholeNumber(
  least: number,
  most: number,
  description: string,
  fallback?: number,
) {
  const rule = `a whole number from ${least} to ${most}`;
  return v.optional(
    v.pipe(
      v.number(rule),
      v.integer(rule),
      v.minValue(least, rule),
      v.maxValue(most, rule),
      v.description(description),
    ),
    fallback,
  );
}

/** `true`, or `false` where it is left out. */
export function flag(description: string) {
  return v.optional(
    v.pipe(v.boolean("true or false"), v.description(description)),
    false,
  );
}
