/**
 * HTTP/2 requests that are refused without ending the process.
 *
 * In Deno 2.7 a `request` on a session whose server does not speak HTTP/2 throws
 * and leaves a stream behind in the session. When the session is destroyed, the
 * stream's error, which has no listener, ends the process.
 *
 * @module
 */

import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { isDeno27 } from "./is_deno27.ts";

/** Changes `session` so that its `request` leaves no such stream. */
export function silenceRefusedRequests(session: ClientHttp2Session): void {
  if (!isDeno27()) return;
  const request = session.request;
  session.request = function (...args: unknown[]): ClientHttp2Stream {
    try {
      return Reflect.apply(request, this, args) as ClientHttp2Stream;
    } catch (error) {
      // The caller has the error; the stream's own repeats it.
      for (const stream of pendingStreams(this)) stream.on("error", () => {});
      throw error;
    }
  };
}

/** What the session keeps of streams that it has not sent yet. */
function pendingStreams(session: ClientHttp2Session): ClientHttp2Stream[] {
  const parts = session as unknown as Record<symbol, unknown>;
  return Object.getOwnPropertySymbols(session).flatMap((symbol) => {
    const { pendingStreams } = Object(parts[symbol]) as {
      readonly pendingStreams?: Iterable<ClientHttp2Stream>;
    };
    return pendingStreams === undefined ? [] : [...pendingStreams];
  });
}
