/**
 * Three repairs of `node:http2` for grpc-js, made once when this module is loaded.
 *
 * http2 says `connect` also of a session that was destroyed before it connected,
 * as after a TLS server's refusal of the client's certificate. grpc-js then reads
 * the socket that a destroyed session has no more, and the `TypeError` ends the
 * process. Such a session has not connected: it is not said any more, and the
 * `close` that follows tells grpc-js what happened.
 *
 * In Deno 2.7 a `request` on a session whose server speaks no HTTP/2 throws, and
 * leaves a stream behind in the session. When that is destroyed, the stream's
 * error, which nobody listens to, ends the process.
 *
 * The connection sends small pieces at once (`no_delay.ts`).
 *
 * @module
 */

import http2 from "node:http2";
import type { Socket } from "node:net";
import { sendAtOnce } from "./no_delay.ts";

const connect = http2.connect;

http2.connect = (
  authority: unknown,
  options?: unknown,
  ...rest: unknown[]
): http2.ClientHttp2Session => {
  const session = Reflect.apply(
    connect,
    http2,
    [authority, withoutDelay(options), ...rest],
  ) as http2.ClientHttp2Session;
  const emit = session.emit;
  session.emit = function (event: string, ...rest: unknown[]): boolean {
    if (event === "connect" && session.destroyed) return false;
    return Reflect.apply(emit, this, [event, ...rest]);
  };
  const request = session.request;
  session.request = function (...args: unknown[]): http2.ClientHttp2Stream {
    try {
      return Reflect.apply(request, this, args) as http2.ClientHttp2Stream;
    } catch (error) {
      // grpc-js has the error; the stream's own is its echo.
      for (const stream of pendingStreams(this)) stream.on("error", () => {});
      throw error;
    }
  };
  return session;
};

interface ConnectOptions {
  readonly createConnection?: (...args: unknown[]) => Socket;
}

/** `connect`'s second argument, which may be something else. */
function withoutDelay(options: unknown): unknown {
  const { createConnection } = Object(options) as ConnectOptions;
  if (createConnection === undefined) return options;
  return {
    ...options as ConnectOptions,
    createConnection: (...args: unknown[]) =>
      sendAtOnce(createConnection(...args)),
  };
}

/** What the session keeps of streams that it has not sent yet. */
function pendingStreams(
  session: http2.ClientHttp2Session,
): http2.ClientHttp2Stream[] {
  const parts = session as unknown as Record<symbol, unknown>;
  return Object.getOwnPropertySymbols(session).flatMap((symbol) => {
    const { pendingStreams } = Object(parts[symbol]) as {
      readonly pendingStreams?: Iterable<http2.ClientHttp2Stream>;
    };
    return pendingStreams === undefined ? [] : [...pendingStreams];
  });
}
