/**
 * Progress for people: one line a step, the same on a terminal and in a log.
 *
 * @module
 */

/** Writes lines such as `  two hosts on a bridge … 0.1 s`. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #now: () => number;
  #lineIsOpen = false;

  /** `now` gives milliseconds. */
  constructor(write: (text: string) => void, now: () => number) {
    this.#write = write;
    this.#now = now;
  }

  /** Does `work` and says how long it took. */
  async step<Result>(
    what: string,
    work: () => Result | Promise<Result>,
  ): Promise<Result> {
    const started = this.#now();
    this.#endLine();
    this.#write(`  ${what} …`);
    this.#lineIsOpen = true;
    const result = await work();
    const seconds = ((this.#now() - started) / 1000).toFixed(1);
    this.#write(
      this.#lineIsOpen ? ` ${seconds} s\n` : `  ${what}: done, ${seconds} s\n`,
    );
    this.#lineIsOpen = false;
    return result;
  }

  /** A line below the step that is going on. */
  note(text: string): void {
    this.#endLine();
    this.#write(`    ${text}\n`);
  }

  /** Text of its own, from the first column. */
  print(text: string): void {
    this.#endLine();
    this.#write(`${text}\n`);
  }

  #endLine(): void {
    if (this.#lineIsOpen) this.#write("\n");
    this.#lineIsOpen = false;
  }
}
