/**
 * A repair of `node:http2` for grpc-js, made once when this module is loaded.
 *
 * http2 says `connect` also of a session that was destroyed before it connected,
 * as after a TLS server's refusal of the client's certificate. grpc-js then reads
 * the socket that a destroyed session has no more, and the `TypeError` ends the
 * process. Such a session has not connected: it is not said any more, and the
 * `close` that follows tells grpc-js what happened.
 *
 * @module
 */

import http2 from "node:http2";

const connect = http2.connect;

http2.connect = (...args: unknown[]): http2.ClientHttp2Session => {
  const session = Reflect.apply(
    connect,
    http2,
    args,
  ) as http2.ClientHttp2Session;
  const emit = session.emit;
  session.emit = function (event: string, ...rest: unknown[]): boolean {
    if (event === "connect" && session.destroyed) return false;
    return Reflect.apply(emit, this, [event, ...rest]);
  };
  return session;
};
