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

  /**
   * An HTTP/2 server that cancels each request and keeps the connection, as if
   * nothing were wrong with it (RFC 9113, 6.4).
   */
  static cancelling(): RawServer {
    return new RawServer((connection) => {
      cancelRequests(connection).catch((error) => {
        if (!GONE.some((gone) => error instanceof gone)) throw error;
      });
    });
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

/** How a connection ends under its reader and its writer. */
const GONE = [
  Deno.errors.BadResource,
  Deno.errors.BrokenPipe,
  Deno.errors.ConnectionReset,
  Deno.errors.Interrupted,
];

const FRAME_HEADER_BYTES = 9;
const [HEADERS, RST_STREAM, SETTINGS] = [1, 3, 4];
const CANCEL = 8;
const PREFACE_BYTES = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;

async function cancelRequests(connection: Deno.TcpConn): Promise<void> {
  await connection.write(frame(SETTINGS, 0, []));
  let unread: number[] = [];
  let prefaced = false;
  for await (const bytes of connection.readable) {
    unread.push(...bytes);
    if (!prefaced && unread.length >= PREFACE_BYTES) {
      unread = unread.slice(PREFACE_BYTES);
      prefaced = true;
    }
    while (prefaced && unread.length >= FRAME_HEADER_BYTES) {
      const view = new DataView(Uint8Array.from(unread.slice(0, 9)).buffer);
      const length = FRAME_HEADER_BYTES + (view.getUint32(0) >>> 8);
      if (unread.length < length) break;
      if (view.getUint8(3) === HEADERS) {
        const answer = frame(RST_STREAM, view.getUint32(5), [0, 0, 0, CANCEL]);
        await connection.write(answer);
      }
      unread = unread.slice(length);
    }
  }
}

/** RFC 9113, 4.1. */
function frame(
  type: number,
  stream: number,
  payload: readonly number[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint32(5, stream);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}
