/**
 * A relay of TCP connections to a port of this machine, which can go dead.
 *
 * @module
 */

/** Hands on what comes, in both directions, until it is told to be silent. */
export class Relay implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #accepting: Promise<void>;
  readonly #connections: Deno.TcpConn[] = [];
  #silenced = new Set<Deno.TcpConn>();

  constructor(targetPort: number) {
    this.#accepting = this.#accept(targetPort);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /**
   * The connections that are there stay open and carry nothing any more; later
   * ones work.
   */
  silence(): void {
    this.#silenced = new Set(this.#connections);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) close(connection);
  }

  async #accept(port: number): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      this.#connections.push(client, server);
      this.#pass(client, server);
      this.#pass(server, client);
    }
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    try {
      for await (const bytes of from.readable) {
        for (let rest = bytes; rest.length > 0 && !this.#silenced.has(from);) {
          rest = rest.subarray(await to.write(rest));
        }
      }
    } catch (error) {
      // An end is gone, by this relay's own end or by the other side's.
      if (!isGone(error)) throw error;
    }
    if (!this.#silenced.has(from)) close(to);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe;
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
