/**
 * Runs the agent's loops: started one by one, stopped together.
 *
 * @module
 */

/** Called if a task that must run until the end has ended early. */
export type OnTaskDied = (name: string, error: unknown) => void;

/** Tasks that run until {@linkcode TaskGroup.stop}. */
export class TaskGroup {
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #onDied: OnTaskDied;

  constructor(onDied: OnTaskDied) {
    this.#onDied = onDied;
  }

  /** Aborted when the tasks must end. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Starts a task. It may return when its work is done. An exception before the
   * end is reported, and the other tasks continue.
   */
  spawn(name: string, task: (signal: AbortSignal) => Promise<void>): void {
    const running = task(this.signal).catch((error) => {
      if (!this.signal.aborted) this.#onDied(name, error);
    }).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Ends all tasks; resolves when the last one has. */
  async stop(): Promise<void> {
    this.#ending.abort(new DOMException("stopping", "AbortError"));
    await Promise.all(this.#running);
  }
}
