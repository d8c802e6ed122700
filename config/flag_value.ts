/**
 * Parses a flag's text into its value, by the same rules for the command line,
 * the environment and the file.
 *
 * @module
 */

import type { FlagSpec, FlagValue, IntFlag } from "./flag_spec.ts";
import { nearMatch } from "./near_match.ts";

/** A value, or the rule that the text breaks. */
export type ParsedValue =
  | { readonly value: FlagValue }
  | {
    /** Ends the sentence "… must be". */
    readonly rule: string;
    /** A text that would pass. */
    readonly example: string;
  };

/** Go's `strconv.ParseBool` (compat 1.1). */
const BOOL_WORDS: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/**
 * Go's `strconv.ParseInt` with base 0: the prefix decides (a leading 0 alone is
 * octal), and an underscore may stand between digits.
 */
const GO_INTEGER =
  /^([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]((?:_?[0-7])+)|0((?:_?[0-7])*)|([1-9](?:_?[0-9])*))$/;

/**
 * Parses the text of a flag. A repeatable flag gets one element, or none from
 * "".
 */
export function parseFlagValue(flag: FlagSpec, text: string): ParsedValue {
  switch (flag.type) {
    case "string":
      return { value: text };
    case "list":
      return { value: text === "" ? [] : [text] };
    case "bool": {
      const value = parseGoBool(text);
      return value === undefined
        ? { rule: "true or false", example: String(!flag.default) }
        : { value };
    }
    case "int": {
      const value = parseGoInteger(text);
      return value === undefined || value < flag.min || value > flag.max
        ? intRule(flag, value)
        : { value };
    }
    case "enum":
      return flag.words.includes(text) ? { value: text } : {
        rule: joinWords(flag.words),
        example: nearMatch(text, flag.words) ?? flag.default,
      };
  }
}

/** One of Go's words for true and false; `undefined` for another. */
export function parseGoBool(text: string): boolean | undefined {
  return Object.hasOwn(BOOL_WORDS, text) ? BOOL_WORDS[text] : undefined;
}

/** A Go integer literal; `undefined` for anything else. */
export function parseGoInteger(text: string): number | undefined {
  const match = GO_INTEGER.exec(text);
  if (match === null) return undefined;
  const [, sign, hexadecimal, binary, octal, oldOctal, decimal] = match;
  const [digits, base] = hexadecimal !== undefined
    ? [hexadecimal, 16] as const
    : binary !== undefined
    ? [binary, 2] as const
    : decimal !== undefined
    ? [decimal, 10] as const
    : [`0${octal ?? oldOctal}`, 8] as const;
  const magnitude = Number.parseInt(digits.replaceAll("_", ""), base);
  // Adding 0 turns -0 into 0.
  return (sign === "-" ? -magnitude : magnitude) + 0;
}

function intRule(flag: IntFlag, value: number | undefined): ParsedValue {
  const unit = flag.unit === undefined ? "" : ` of ${flag.unit}`;
  const nearest = value === undefined
    ? flag.default
    : Math.min(flag.max, Math.max(flag.min, value));
  return {
    rule: `a whole number${unit} from ${flag.min} to ${flag.max}`,
    example: String(nearest),
  };
}

function joinWords(words: readonly string[]): string {
  return words.length < 2
    ? words.join("")
    : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
