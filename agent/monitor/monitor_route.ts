/**
 * `/monitor` of the status socket: a stream of events, one JSON object a line.
 *
 * @module
 */

import { connectedUsers } from "../../linux/peer_credentials.ts";
import type { StreamHandler } from "../status/request_server.ts";
import type { Monitor } from "./monitor.ts";

/** @param socketPath of the socket that answers. */
export function monitorRoute(
  monitor: Pick<Monitor, "listen">,
  socketPath: string,
): StreamHandler {
  return () => ({
    contentType: "application/x-ndjson",
    open: () => monitor.listen({ bytes: onlyRootIsConnected(socketPath) }),
  });
}

/**
 * Bytes of packets are what containers say to each other. The connection that
 * asks for them cannot be told from others, so all must be root's.
 */
function onlyRootIsConnected(socketPath: string): boolean {
  const users = connectedUsers(socketPath);
  return users.length > 0 && users.every((uid) => uid === 0);
}
