/**
 * A gRPC stream of watch responses, pulled one by one.
 *
 * @module
 */

import type {
  IDuplexStream,
  IWatchCreateRequest,
  IWatchRequest,
  IWatchResponse,
} from "etcd3";

/** One stream with one watch on it. Responses that came early are kept in order. */
export class WatchStream {
  readonly #source: IDuplexStream<IWatchRequest, IWatchResponse>;
  readonly #responses: IWatchResponse[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(source: IDuplexStream<IWatchRequest, IWatchResponse>) {
    this.#source = source;
    source.on("data", (response) => {
      this.#responses.push(response);
      this.#wake();
    });
    source.on("error", (error) => this.#fail(error));
    source.on("end", () => this.#fail(new Error("Connection dropped")));
  }

  /**
   * Asks for the watch and waits until etcd has it.
   *
   * @throws what ended the stream, or the refusal.
   */
  async create(request: IWatchCreateRequest): Promise<void> {
    this.#source.write({ create_request: request });
    const response = await this.next();
    if (!response.created) {
      throw new Error("Protocol error: the watch was not confirmed");
    }
  }

  /**
   * The next response; one that says that etcd gave up the watch is thrown.
   *
   * @throws what ended the stream, after the responses that came before.
   */
  async next(): Promise<IWatchResponse> {
    for (;;) {
      const response = this.#responses.shift();
      if (response !== undefined) {
        const refusal = refusalIn(response);
        if (refusal !== undefined) throw new Error(refusal);
        return response;
      }
      if (this.#failure !== undefined) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Ends the stream; a waiting {@linkcode next} throws `reason`. */
  cancel(reason: unknown): void {
    this.#fail(reason instanceof Error ? reason : new Error(String(reason)));
    this.#source.cancel();
  }

  #fail(error: Error): void {
    // What comes after the first failure is only its echo.
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
