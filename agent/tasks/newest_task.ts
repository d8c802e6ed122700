/**
 * Work of which only the newest version counts.
 *
 * @module
 */

/** Brings something to a state. Ends early, by the signal, for a newer one. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * One task at a time: a new one ends the one that is under way and begins when
 * that has ended. Who waits for the older one waits for the newer one from then
 * on.
 */
export class NewestTask {
  #ending = new AbortController();
  #turn: Promise<void> = Promise.resolve();
  #newest: Promise<void> = Promise.resolve();

  /**
   * Resolves when the task, or one that came later, is done.
   *
   * @throws what that one throws; the signal's reason when aborted.
   */
  run(task: Task, signal: AbortSignal): Promise<void> {
    this.#newest = this.#run(task, signal);
    return this.#newest;
  }

  /** Resolves or rejects as the newest task does. */
  get settled(): Promise<void> {
    return this.#newest;
  }

  async #run(task: Task, signal: AbortSignal): Promise<void> {
    this.#ending.abort(new DOMException("a newer one has come", "AbortError"));
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
