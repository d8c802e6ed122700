/**
 * Errors of a network config: source, value, rule, and a valid value.
 *
 * @module
 */

import { NetworkConfigError } from "../errors.ts";

/** A value of the config that breaks a rule. */
export interface Refusal {
  readonly key: string;
  /** Ends the sentence "… must be". */
  readonly rule: string;
  /** `undefined`: missing. */
  readonly current: unknown;
  /** A valid value, or, if the text contains a space, a complete remedy. */
  readonly example: unknown;
  readonly code: string;
  readonly retryable?: boolean;
}

/** Creates the error for a refusal; knows where the config comes from. */
export type Refuse = (refusal: Refusal) => NetworkConfigError;

/** @param source Where the config comes from. */
export function refusals(source: string): Refuse {
  return ({ key, rule, current, example, code, retryable = true }) => {
    const shown = current === undefined ? "missing" : JSON.stringify(current);
    const remedy = typeof example === "string" && example.includes(" ")
      ? example
      : `"${key.split(".").at(-1)}": ${JSON.stringify(example)}`;
    return new NetworkConfigError(
      code,
      `Cannot use the network config from ${source}: ${key} must be ${rule}: ` +
        `current value is ${shown}`,
      { hint: `for example ${remedy}`, retryable },
    );
  };
}
