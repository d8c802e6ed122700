/**
 * QEMU's control of a machine: commands of its monitor, and what it reports.
 * `docs/interop/qmp-spec.rst` of QEMU.
 *
 * @module
 */

import { linesOf, writeLine } from "./socket_lines.ts";

/** A line from QEMU. */
interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
}

/** One connection; QEMU takes one at a time. */
export class Monitor implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #lines: AsyncIterator<string>;
  readonly #events: string[] = [];
  readonly #close: () => void;
  readonly #signal: AbortSignal;

  private constructor(connection: Deno.Conn, signal: AbortSignal) {
    this.#connection = connection;
    this.#lines = linesOf(connection.readable);
    this.#signal = signal;
    this.#close = () => connection.close();
    signal.addEventListener("abort", this.#close, { once: true });
  }

  /** Connects; `signal` closes it. */
  static async open(path: string, signal: AbortSignal): Promise<Monitor> {
    const connection = await Deno.connect({ transport: "unix", path });
    const monitor = new Monitor(connection, signal);
    await monitor.#ask("qmp_capabilities");
    return monitor;
  }

  /** Runs a line of the human monitor. @throws what QEMU says against it. */
  async command(line: string): Promise<void> {
    const said = await this.#ask("human-monitor-command", {
      "command-line": line,
    });
    if (said !== "") throw new Error(`Cannot run "${line}" in QEMU: ${said}`);
  }

  /** Returns at once if it has been reported already. */
  async untilEvent(name: string): Promise<void> {
    while (!this.#events.includes(name)) await this.#next();
  }

  [Symbol.dispose](): void {
    if (this.#signal.aborted) return;
    this.#signal.removeEventListener("abort", this.#close);
    this.#connection.close();
  }

  async #ask(
    execute: string,
    words: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    const question = JSON.stringify({ execute, arguments: words });
    await writeLine(this.#connection, question);
    for (;;) {
      const answer = await this.#next();
      if (answer.error !== undefined) throw new Error(answer.error.desc);
      if ("return" in answer) return answer.return;
    }
  }

  async #next(): Promise<Message> {
    const { done, value } = await this.#lines.next();
    this.#signal.throwIfAborted();
    if (done) throw new Error("Cannot go on: QEMU has ended");
    const message: Message = JSON.parse(value);
    if (message.event !== undefined) this.#events.push(message.event);
    return message;
  }
}
