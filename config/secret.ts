/**
 * A text that must never appear in a log, an error or a dump.
 *
 * @module
 */

/** Shown in place of a secret. */
export const HIDDEN = "hidden";

/**
 * Holds a password so that printing it, or an object that contains it, prints
 * {@linkcode HIDDEN}. (flannel logs all its options at start, including the
 * password: compat 1.3.)
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether there is a text at all. */
  get isSet(): boolean {
    return this.#text !== "";
  }

  /** The text itself, for sending it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return this.isSet ? HIDDEN : "";
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}
