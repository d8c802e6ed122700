/**
 * Errors of the extension backend.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";

/**
 * The network config has commands, and this host does not run commands from etcd.
 * Its code is `backend.commands-not-allowed`.
 */
export class CommandsNotAllowedError extends LodenError {
  readonly retryable = false;

  constructor() {
    super(
      "backend.commands-not-allowed",
      "Cannot use the extension backend: --allow-extension-commands must be " +
        "set, because the network config in etcd has commands that run as " +
        "root on this host: current value is false",
      {
        hint: "set it only if everyone who may write the config may be root " +
          "on every host: docs/backends.md, extension",
      },
    );
  }
}

/**
 * A command before or after the start failed. Its code is
 * `backend.command-failed`.
 */
export class ExtensionCommandError extends LodenError {
  readonly retryable = false;

  constructor(option: string, reason: string, options?: ErrorOptions) {
    super(
      "backend.command-failed",
      `Cannot run the ${option} of the network config: ${reason}`,
      options,
    );
  }
}
