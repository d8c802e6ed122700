/**
 * What can go wrong while a network of namespaces is built.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../../errors.ts";

/** A condition that did not become true in time. `code` is `rig.timeout`. */
export class RigTimeoutError extends LodenError {
  constructor(what: string, timeoutMs: number, detail = "") {
    super(
      "rig.timeout",
      `Cannot wait longer for ${what}: it must happen within ${timeoutMs} ms` +
        (detail === "" ? "" : `\n${detail}`),
    );
  }
}

/** A process that ended while it was still needed. `code` is `rig.process`. */
export class ProcessEndedError extends LodenError {
  /** The exit code of the process. */
  readonly exitCode: number;

  constructor(what: string, exitCode: number, log: string) {
    super(
      "rig.process",
      `Cannot continue with ${what}: it must be running: it ended with code ` +
        `${exitCode}${log === "" ? "" : `\n${log}`}`,
    );
    this.exitCode = exitCode;
  }
}

/** A rig of the same fixed name exists already. `code` is `rig.exists`. */
export class RigExistsError extends LodenError {
  constructor(name: string, options: LodenErrorOptions = {}) {
    super(
      "rig.exists",
      `Cannot build the network ${name}: its name must be free: it is up already`,
      options,
    );
  }
}
