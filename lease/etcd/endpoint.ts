/**
 * Where an etcd member listens for clients.
 *
 * @module
 */

import { BadEndpointError } from "../errors.ts";

/** One entry of `--etcd-endpoints`. */
export interface Endpoint {
  /** `scheme://host:port`, for messages. */
  readonly url: string;
  /** Whether the scheme is https. */
  readonly tls: boolean;
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 2379;
const PATTERN =
  /^(?:(https?):\/\/)?(?:\[([0-9a-f:.]+)\]|([^\s:/@?#[\]]+))(?::(\d{1,5}))?\/?$/i;

/**
 * Reads `http://host:2379`; spaces around it are ignored, unlike in flannel.
 * The defaults are http and port 2379.
 *
 * @throws {BadEndpointError}
 */
export function parseEndpoint(text: string): Endpoint {
  const match = PATTERN.exec(text.trim());
  const port = Number(match?.[4] ?? DEFAULT_PORT);
  if (match === null || port < 1 || port > 65_535) {
    // It may contain a password, and messages are logged.
    throw new BadEndpointError(text.replace(/\/\/[^/]*@/, "//…@"));
  }
  const tls = match[1]?.toLowerCase() === "https";
  const host = match[2] ?? match[3]!;
  const shown = match[2] === undefined ? host : `[${host}]`;
  return {
    url: `${tls ? "https" : "http"}://${shown}:${port}`,
    tls,
    host,
    port,
  };
}
