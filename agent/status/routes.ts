/**
 * Which path is answered by what: the table of a {@linkcode RequestServer} that is
 * only read from.
 *
 * @module
 */

import type { PlainAnswer, PlainRequest } from "./http_message.ts";
import type { Handler } from "./request_server.ts";

/** By path. A map, because a path may be any word, also that of a property. */
export type Routes = ReadonlyMap<string, Handler>;

/** Answers GET and HEAD; `undefined` if there is no such path. */
export function answerRoute<Made>(
  request: PlainRequest,
  routes: ReadonlyMap<string, (request: PlainRequest) => Made>,
): Made | PlainAnswer | undefined {
  const handler = routes.get(request.path);
  if (handler === undefined) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return {
      status: 405,
      body: "only GET\n",
      headers: { allow: "GET, HEAD" },
    };
  }
  return handler(request);
}
