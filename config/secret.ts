/**
 * A text that no log, error or dump may show.
 *
 * @module
 */

/** What stands for a secret wherever it would be shown. */
export const HIDDEN = "hidden";

/**
 * Holds a password so that printing whatever holds it (flannel logs all its
 * options at start, this one in clear: compat 1.3) prints {@linkcode HIDDEN}.
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

  /** The text itself, for the one who must send it. */
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
