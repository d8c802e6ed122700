/**
 * TCP that sends small pieces at once (`TCP_NODELAY`, tcp(7)).
 *
 * A call of gRPC is two small writes. Where the kernel holds the second one
 * back until the first is acknowledged, which the other end does 40 ms later,
 * each call takes that long. Deno 2.9's HTTP/2 turns that off, 2.7's does not.
 *
 * @module
 */

import type { Socket } from "node:net";
import { isDeno27 } from "./is_deno27.ts";

interface ConnectOptions {
  readonly createConnection?: (...args: unknown[]) => Socket;
}

/**
 * The second argument of `connect` of `node:http2`, so that the connection that
 * it makes sends at once. It may be no options; then it stays as it is.
 */
export function withoutDelay(options: unknown): unknown {
  const { createConnection } = Object(options) as ConnectOptions;
  if (createConnection === undefined || !isDeno27()) return options;
  return {
    ...options as ConnectOptions,
    createConnection: (...args: unknown[]) =>
      sendAtOnce(createConnection(...args)),
  };
}

/**
 * For sockets that have not connected yet: when the other listeners of
 * `connect` have run, HTTP/2 has taken the connection away from it.
 */
export function sendAtOnce<S extends Socket>(socket: S): S {
  socket.prependOnceListener("connect", () => {
    socket.setNoDelay(true);
    // In Deno 2.7 that reaches no connection: it is a part of the socket's handle.
    for (const connection of connectionsOf(socket)) connection.setNoDelay(true);
  });
  return socket;
}

function connectionsOf(socket: Socket): Deno.TcpConn[] {
  const { _handle } = socket as unknown as Record<"_handle", unknown>;
  const handle = Object(_handle) as Record<symbol, unknown>;
  return Object.getOwnPropertySymbols(handle)
    .map((key) => Object(handle[key]) as object)
    .filter((part): part is Deno.TcpConn =>
      part.constructor.name === "TcpConn"
    );
}
