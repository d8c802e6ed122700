/**
 * What the host's other programs get from us, when it cannot be made.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";

/** Docker's options cannot be made; the command ends with exit code 1. */
export class DockerOptsError extends LodenError {
  /** The usage text to print after the message, when the command line is bad. */
  readonly usage: string | undefined;

  constructor(
    message: string,
    options: LodenErrorOptions & { usage?: string } = {},
  ) {
    const { usage, ...rest } = options;
    super("docker-opts", message, rest);
    this.usage = usage;
  }
}
