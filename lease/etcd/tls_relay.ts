/**
 * TLS for an HTTP/2 client that takes plain TCP only.
 *
 * Before Deno 2.9 `node:http2` refuses the sockets of `node:tls`, which are good
 * by themselves. There the client speaks to a port of this machine, and what it
 * says goes on through TLS. The port takes one connection: the client's own,
 * known by its port, so that no other user of the machine can speak through it.
 *
 * @module
 */

import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { sendAtOnce } from "./no_delay.ts";

const LOOPBACK = "127.0.0.1";

/** Whether this Deno's HTTP/2 needs a relay. */
export function needsRelay(version: string = Deno.version.deno): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major! < 2 || (major === 2 && minor! < 9);
}

/**
 * A socket whose other end is the TLS server of `options`. What goes wrong there
 * is its error.
 */
export function relayTls(options: ConnectionOptions): Socket {
  const listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
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

/** The listener's side of the client. */
async function acceptOwn(
  listener: Deno.TcpListener,
  client: Socket,
  isConnected: Promise<void>,
): Promise<Deno.TcpConn> {
  await isConnected;
  for (;;) {
    const connection = await listener.accept();
    if (connection.remoteAddr.port === client.localPort) {
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
    // Errors of TLS have reached the client by their event.
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
