/**
 * The comma list of `--etcd-endpoints`.
 *
 * @module
 */

import { join } from "node:path/posix";

/** etcd's client port, the default of a URL without one. */
const DEFAULT_PORT = 2379;

const ENDPOINT =
  /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)(?::([0-9]{1,5}))?\/?$/i;

/** One endpoint that cannot be used. */
export interface EndpointRefusal {
  /** Ends the sentence "… must be". */
  readonly rule: string;
  /** The endpoint as given; `undefined` when it holds a password. */
  readonly current: string | undefined;
  readonly hint: string;
}

/**
 * Parses the list into `scheme://host:port`; the default scheme is `http`.
 * Spaces around endpoints and empty ones (an extra comma) are ignored; flannel
 * does not trim and then cannot connect.
 */
export function parseEtcdEndpoints(
  text: string,
): { endpoints: string[] } | { refusal: EndpointRefusal } {
  const endpoints: string[] = [];
  for (const part of text.split(",").map((part) => part.trim())) {
    if (part === "") continue;
    const endpoint = normalise(part);
    if (endpoint === undefined) return { refusal: explain(part) };
    endpoints.push(endpoint);
  }
  return endpoints.length > 0 ? { endpoints } : { refusal: explain(text) };
}

function normalise(text: string): string | undefined {
  const match = ENDPOINT.exec(text);
  if (match === null) return undefined;
  const [, scheme = "http", host, portText] = match;
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  const endpoint = `${scheme.toLowerCase()}://${host}:${port}`;
  return port >= 1 && port <= 65_535 && URL.canParse(endpoint)
    ? endpoint
    : undefined;
}

function explain(text: string): EndpointRefusal {
  const rule = "a comma list of http:// or https:// URLs of host and port";
  if (text.includes("@")) {
    return {
      rule: `${rule}, without user and password`,
      current: undefined,
      hint: "use --etcd-username and FLANNELD_ETCD_PASSWORD",
    };
  }
  const { scheme, rest } =
    /^(?<scheme>[a-z]+):\/\/(?<rest>.*)$/i.exec(text)?.groups ?? {};
  const known = scheme === undefined || /^https?$/i.test(scheme);
  return {
    rule,
    current: text,
    hint: known
      ? `for example http://127.0.0.1:${DEFAULT_PORT}`
      : `for example http://${
        normalise(rest!) === undefined ? `127.0.0.1:${DEFAULT_PORT}` : rest
      }`,
  };
}

// Built in, because loading @std/path would add 16 ms to the start.

/**
 * The prefix without `//`, `.`, `..` and a `/` at the end, so that
 * `${prefix}/config` is the key: flannel joins the two by Go's `path.Join`
 * (compat 1.3). `undefined` if nothing is left.
 */
export function cleanEtcdPrefix(prefix: string): string | undefined {
  const key = join(prefix, "config");
  return key === "config" ? undefined : key.slice(0, -"/config".length);
}
