/**
 * A process around a command, of which a test sees everything.
 *
 * @module
 */

import type {
  CommandContext,
  CommandIo,
  Terminal,
  UncaughtHandler,
} from "../../commands/command.ts";
import { commandTable } from "../../commands/table.ts";

/** Thrown in place of ending the process. */
export class FakeExit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`the process has ended with ${code}`);
    this.code = code;
  }
}

/** Keeps what is written, and sends signals. */
export class FakeCommandIo implements CommandIo {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  out = "";
  err = "";
  /** Whether the reader of stdout is still there. */
  hasReader = true;
  screen: Terminal | undefined;
  /** Where stderr goes. */
  errorScreen: Terminal | undefined;
  uncaught: UncaughtHandler | undefined;
  readonly #handlers = new Map<Deno.Signal, Set<() => void>>();

  constructor(
    argv: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.argv = argv;
    this.env = env;
  }

  // Functions and not methods: a command may spread the object.
  readonly stdout = (text: string): boolean => {
    this.out += text;
    return this.hasReader;
  };
  readonly terminal = (): Terminal | undefined => this.screen;
  readonly errorTerminal = (): Terminal | undefined => this.errorScreen;
  readonly stderr = (text: string): void => {
    this.err += text;
  };
  readonly onSignal = (
    signal: Deno.Signal,
    handler: () => void,
  ): () => void => {
    const handlers = this.#handlers.get(signal) ?? new Set();
    this.#handlers.set(signal, handlers.add(handler));
    return () => handlers.delete(handler);
  };
  readonly onUncaught = (handler: UncaughtHandler | undefined): void => {
    this.uncaught = handler;
  };
  readonly exitNow = (code: number): never => {
    throw new FakeExit(code);
  };

  /** As `dispatch` calls the command `name`. */
  as(name: string): CommandContext {
    const entry = commandTable.find((each) => each.name === name)!;
    return { ...this, entry, table: commandTable };
  }

  /** @returns whether anybody listens. */
  send(signal: Deno.Signal): boolean {
    const handlers = this.#handlers.get(signal) ?? new Set();
    for (const handler of [...handlers]) handler();
    return handlers.size > 0;
  }
}
