/**
 * A pull interface to a gRPC stream of watch responses; each pull returns all
 * that has arrived.
 *
 * @module
 */

import type {
  IDuplexStream,
  IEvent,
  IWatchCreateRequest,
  IWatchRequest,
  IWatchResponse,
} from "etcd3";
import { setImmediate } from "node:timers/promises";

/** gRPC's stream, which can do more than etcd3's type says. */
export interface WatchSource
  extends IDuplexStream<IWatchRequest, IWatchResponse> {
  /**
   * Stops reading: HTTP/2's flow control then stops etcd, which keeps the
   * history.
   */
  pause(): unknown;
  resume(): unknown;
}

/** At most this many events wait in memory, plus one response. */
const MAX_WAITING_EVENTS = 8_192;

/** One stream with one watch. Early responses are kept in order. */
export class WatchStream {
  readonly #source: WatchSource;
  #responses: IWatchResponse[] = [];
  #waitingEvents = 0;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(source: WatchSource) {
    this.#source = source;
    source.on("data", (response) => this.#keep(response));
    source.on("error", (error) => this.#fail(error));
    source.on("end", () => this.#fail(new Error("Connection dropped")));
  }

  /**
   * Creates the watch and waits until etcd confirms it.
   *
   * @throws what ended the stream, or the refusal.
   */
  async create(request: IWatchCreateRequest): Promise<void> {
    this.#source.write({ create_request: request });
    await this.#untilResponse();
    const [response] = this.#take(1);
    const refusal = refusalIn(response!);
    if (refusal !== undefined) throw new Error(refusal);
    if (!response!.created) {
      throw new Error("Protocol error: the watch was not confirmed");
    }
  }

  /**
   * The events that have arrived and were not returned yet, in order; waits for
   * at least one. Throws if etcd canceled the watch.
   *
   * @throws what ended the stream, after the events that came before.
   */
  async next(): Promise<IEvent[]> {
    for (;;) {
      if (this.#responses.length === 0) {
        await this.#untilResponse();
        // Events from the same read of the socket are returned together.
        await setImmediate();
      }
      const ends = this.#responses.findIndex((response) =>
        refusalIn(response) !== undefined
      );
      if (ends === 0) throw new Error(refusalIn(this.#responses[0]!));
      const events = this.#take(ends < 0 ? this.#responses.length : ends)
        .flatMap((response) => response.events);
      if (events.length > 0) return events;
    }
  }

  /** Ends the stream; a waiting {@linkcode next} throws `reason`. */
  cancel(reason: unknown): void {
    this.#fail(reason instanceof Error ? reason : new Error(String(reason)));
    this.#source.cancel();
  }

  #keep(response: IWatchResponse): void {
    this.#responses.push(response);
    this.#waitingEvents += response.events.length;
    if (this.#waitingEvents >= MAX_WAITING_EVENTS) this.#source.pause();
    this.#wake();
  }

  #take(count: number): IWatchResponse[] {
    const taken = this.#responses.slice(0, count);
    this.#responses = this.#responses.slice(count);
    const isFull = this.#waitingEvents >= MAX_WAITING_EVENTS;
    for (const { events } of taken) this.#waitingEvents -= events.length;
    if (isFull && this.#waitingEvents < MAX_WAITING_EVENTS) {
      this.#source.resume();
    }
    return taken;
  }

  /** @throws what ended the stream. */
  async #untilResponse(): Promise<void> {
    while (this.#responses.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #fail(error: Error): void {
    // Later failures are consequences of the first.
    this.#failure ??= error;
    this.#wake();
  }
}

function refusalIn(response: IWatchResponse): string | undefined {
  if (response.compact_revision !== "0") {
    return "required revision has been compacted";
  }
  if (!response.canceled) return undefined;
  return response.cancel_reason || "the watch was canceled by etcd";
}
