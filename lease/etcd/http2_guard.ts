/**
 * A repair of `node:http2` for grpc-js, made once when this module is loaded.
 *
 * http2 also emits `connect` for a session that was destroyed before it
 * connected, as after a TLS server's refusal of the client's certificate.
 * grpc-js then reads the socket, which a destroyed session no longer has, and
 * the `TypeError` ends the process. Such a session has not connected: the event
 * is suppressed, and the `close` that follows tells grpc-js what happened.
 *
 * Two faults of Deno 2.7 are repaired on the way (`deno27/`).
 *
 * @module
 */

import http2 from "node:http2";
import { silenceRefusedRequests } from "../../deno27/http2_streams.ts";
import { withoutDelay } from "../../deno27/no_delay.ts";

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
  silenceRefusedRequests(session);
  return session;
};
