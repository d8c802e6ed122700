/**
 * Refusals of what a person has set.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";

/**
 * A setting that cannot be used, wherever it came from. Waiting cannot cure it:
 * the process ends with exit code 2.
 */
export class SettingsError extends LodenError {
  readonly retryable = false;
}

/** A value that breaks a rule, in words. */
export interface ValueRefusal {
  /** Where it stands, such as `FLANNELD_V in the environment`. */
  readonly where: string;
  /** Ends the sentence "… must be". */
  readonly rule: string;
  /** The value as given; `undefined` when it must not be shown. */
  readonly current: unknown;
  readonly hint: string;
}

/** The error for one value that breaks a rule: `settings.bad-value`. */
export function badValueError(refusal: ValueRefusal): SettingsError {
  const { where, rule, current, hint } = refusal;
  const shown = current === undefined ? "hidden" : JSON.stringify(current);
  return new SettingsError(
    "settings.bad-value",
    `Cannot use the settings: ${where} must be ${rule}: current value is ${shown}`,
    { hint },
  );
}

/** The command line itself is wrong: unknown flag, missing value, word too many. */
export class UsageError extends SettingsError {}

/** The file of `--config` cannot be read, or is not a cloud-config. */
export class CloudConfigError extends SettingsError {}

/** Where in a network config the trouble is, beside the message. */
export interface NetworkConfigErrorOptions extends LodenErrorOptions {
  /** Whether a later reading may be right: another one may be put in its place. */
  readonly retryable?: boolean;
}

/**
 * The JSON under `<prefix>/config` cannot be used. `code` begins with
 * `network.`. Somebody may put a better one, so waiting may cure it, save where
 * flannel ends as well: a backend that does not exist here (compat 2.4).
 */
export class NetworkConfigError extends LodenError {
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    options: NetworkConfigErrorOptions = {},
  ) {
    const { retryable = true, ...rest } = options;
    super(code, message, rest);
    this.retryable = retryable;
  }
}
