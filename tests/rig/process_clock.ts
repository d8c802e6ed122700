/**
 * A wall clock for some processes alone, which tests set: the machine's own stays
 * as it is, and so does the monotonic one.
 *
 * @module
 */

/** Where Debian has it; the loader puts the machine's directory for `$LIB`. */
const LIBRARY = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/** See the module's text. */
export class ProcessClock implements Disposable {
  readonly #file: string;

  constructor() {
    this.#file = Deno.makeTempFileSync({ prefix: "loden-clock-" });
    this.set("+0");
  }

  /** Stands before a command, which is executed with this clock. */
  get wrapper(): readonly string[] {
    return [
      "env",
      `LD_PRELOAD=${LIBRARY}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#file}`,
      "FAKETIME_NO_CACHE=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ];
  }

  /** @param ahead of the machine's clock, in faketime's words: `+2d`, `-30`. */
  set(ahead: string): void {
    // In one step, because there is always a reader.
    const fresh = `${this.#file}.new`;
    Deno.writeTextFileSync(fresh, `${ahead}\n`);
    Deno.renameSync(fresh, this.#file);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#file);
  }
}
