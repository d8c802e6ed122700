/**
 * Errors in settings.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";

/**
 * A setting that cannot be used, from any source. Waiting cannot cure it, so
 * the process exits with code 2.
 */
export class SettingsError extends LodenError {
  readonly retryable = false;
}

/** A value that breaks a rule, as text. */
export interface ValueRefusal {
  /** Where it is, such as `FLANNELD_V in the environment`. */
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

/**
 * The command line is invalid: an unknown flag, a missing value, an extra word.
 */
export class UsageError extends SettingsError {}

/** The file of `--config` cannot be read, or is not a cloud-config. */
export class CloudConfigError extends SettingsError {}

/**
 * What is known of a problem in a network config in addition to the message.
 */
export interface NetworkConfigErrorOptions extends LodenErrorOptions {
  /** Whether waiting may help, because another config may be published. */
  readonly retryable?: boolean;
}

/**
 * The JSON under `<prefix>/config` cannot be used. `code` begins with
 * `network.`. Another config may be published, so waiting may help, except
 * where flannel exits as well: for a backend that does not exist here (compat
 * 2.4).
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
