/**
 * Runs work of which only the newest version counts.
 *
 * @module
 */

/** Brings something to a state. The signal ends it early for a newer task. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * One task at a time: a new one aborts the one in progress and starts when that
 * has ended. A caller that waits for the older one then waits for the newer
 * one.
 */
export class NewestTask {
  #ending = new AbortController();
  #turn: Promise<void> = Promise.resolve();
  #newest: Promise<void> = Promise.resolve();

  /**
   * Resolves when this task or a later one is done.
   *
   * @throws what that task throws; the signal's reason if aborted.
   */
  run(task: Task, signal: AbortSignal): Promise<void> {
    this.#newest = this.#run(task, signal);
    return this.#newest;
  }

  /** Resolves or rejects like the newest task. */
  get settled(): Promise<void> {
    return this.#newest;
  }

  async #run(task: Task, signal: AbortSignal): Promise<void> {
    this.#ending.abort(
      new DOMException("a newer task replaces this one", "AbortError"),
    );
    const ending = new AbortController();
    this.#ending = ending;
    const either = AbortSignal.any([signal, ending.signal]);
    const before = this.#turn;
    const result = (async () => {
      await before;
      either.throwIfAborted();
      await task(either);
    })();
    this.#turn = result.catch(() => {});
    try {
      await result;
    } catch (error) {
      signal.throwIfAborted();
      if (!ending.signal.aborted) throw error;
      await this.#newest;
    }
  }
}
