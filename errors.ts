/**
 * The root of every error that Loden raises on purpose.
 *
 * Each part of the system has an `errors.ts` with its own named classes. All of
 * them extend {@linkcode LodenError}, so that the command line can print one
 * clear line and choose an exit code without knowing the part.
 *
 * @module
 */

/** What an operator needs in addition to the message. */
export interface LodenErrorOptions extends ErrorOptions {
  /** What you can do next: a flag, a command, a valid value. */
  hint?: string;
}

/**
 * An error whose message is written for an operator.
 *
 * The message follows "Cannot X: Y must be Z: current value is …". `code` is
 * part of the interface: lower case words joined by dots, e.g.
 * `network.subnet-len`, stable between releases, used in logs and JSON output.
 */
export class LodenError extends Error {
  /** Stable, machine readable name of this failure. */
  readonly code: string;
  /** What you can do next, if anything. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: LodenErrorOptions = {}) {
    const { hint, ...errorOptions } = options;
    super(message, errorOptions);
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
  }
}

/**
 * One line for a person: the message, and the hint when there is one.
 *
 * @param otherwise the hint for an error that has none.
 */
export function describeError(error: unknown, otherwise?: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const hint = (error instanceof LodenError ? error.hint : undefined) ||
    otherwise;
  return hint ? `${message} (${hint})` : message;
}
