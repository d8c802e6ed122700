/**
 * TCP servers that are no etcd.
 *
 * @module
 */

/** Listens on a free port of 127.0.0.1 and does one thing to each connection. */
export class RawServer implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;
  /** How many connections came. */
  accepted = 0;

  constructor(onConnection: (connection: Deno.TcpConn) => unknown) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accepting = this.#accept(onConnection);
  }

  /** A server whose first words are `text`, whatever the client says. */
  static saying(text: string): RawServer {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return new RawServer((connection) => connection.write(bytes));
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch (error) {
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    }
  }

  async #accept(
    onConnection: (connection: Deno.TcpConn) => unknown,
  ): Promise<void> {
    for await (const connection of this.#listener) {
      this.accepted++;
      this.#connections.add(connection);
      await onConnection(connection);
    }
  }
}

/** A port on which nothing listens. */
export function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
