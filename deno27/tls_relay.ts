/**
 * TLS for an HTTP/2 client that takes plain TCP only.
 *
 * Before Deno 2.9 `node:http2` refuses the sockets of `node:tls`, which work by
 * themselves. There the client connects to a port of 127.0.0.1, and its bytes are
 * passed on through TLS. The port takes one connection, the client's own, so that
 * no other user of the machine can speak through it.
 *
 * @module
 */

import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { sendAtOnce } from "./no_delay.ts";

const LOOPBACK = "127.0.0.1";

/**
 * A socket whose other end is the TLS server of `options`. An error of the TLS
 * connection becomes the socket's.
 *
 * @param listener takes the socket's connection, and is closed after that.
 */
export function relayTls(
  options: ConnectionOptions,
  listener: Deno.TcpListener = Deno.listen({ hostname: LOOPBACK, port: 0 }),
): Socket {
  const client = connectTcp(listener.addr.port, LOOPBACK);
  const isConnected = new Promise<void>((resolve) =>
    client.once("connect", resolve)
  );
  client.once("close", () => close(listener));
  acceptOwn(listener, client, isConnected).then(
    (end) => join(end, client, options),
    // It does not matter any more where the client has left before.
    (error) => client.destroy(error),
  );
  return client;
}

/**
 * Whether a connection to the listener was made by `client`, a connected socket.
 *
 * Address and port of both ends identify a TCP connection in a network namespace,
 * and the kernel gives no two sockets the same four. So a connection that comes
 * from the client's local address and port is the client's, and this process's.
 * The port alone proves nothing: another user may bind the same port of 127.0.0.2.
 */
export function isFrom(
  { hostname, port }: Deno.NetAddr,
  client: Pick<Socket, "localAddress" | "localPort">,
): boolean {
  return hostname === client.localAddress && port === client.localPort;
}

/** The listener's side of the client. */
async function acceptOwn(
  listener: Deno.TcpListener,
  client: Socket,
  isConnected: Promise<void>,
): Promise<Deno.TcpConn> {
  await isConnected;
  for (;;) {
    const connection = await listener.accept();
    if (isFrom(connection.remoteAddr, client)) {
      close(listener);
      return connection;
    }
    close(connection);
  }
}

/** Joins the two ends until one of them closes. */
function join(
  end: Deno.TcpConn,
  client: Socket,
  options: ConnectionOptions,
): void {
  const tls = sendAtOnce(connectTls(options));
  client.once("close", () => {
    tls.destroy();
    close(end);
  });
  tls.on("error", (error) => client.destroy(error));
  tls.once("close", () => close(end));
  tls.once("secureConnect", () => {
    pass(end, (bytes) => write(tls, bytes)).then(() => tls.end());
    const answers: AsyncIterable<Uint8Array> = tls;
    pass(answers, async (bytes) => {
      for (let rest = bytes; rest.length > 0;) {
        rest = rest.subarray(await end.write(rest));
      }
    }).then(() => close(end));
  });
}

function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.write(bytes, (error) => error ? reject(error) : resolve())
  );
}

/** Ends in order also when an end is gone: the client sees its socket close. */
async function pass(
  from: AsyncIterable<Uint8Array> | Deno.TcpConn,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = "readable" in from && from.readable instanceof ReadableStream
    ? from.readable
    : from as AsyncIterable<Uint8Array>;
  try {
    for await (const bytes of chunks) await take(bytes);
  } catch {
    // The client has had the errors of TLS by their event.
    return;
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
