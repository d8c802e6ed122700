/**
 * What can go wrong while a distribution is made.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";

/** The distribution cannot be made. Its codes begin with `dist.`. */
export class DistError extends LodenError {
  constructor(
    code: `dist.${string}`,
    message: string,
    options?: ErrorOptions & { hint?: string },
  ) {
    super(code, message, options);
  }
}
