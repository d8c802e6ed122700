/**
 * Whether a request is for this host, against DNS rebinding: a page from elsewhere
 * may give its own name this host's address, and its scripts then read what this
 * host answers. The browser sends the page's name as `Host`.
 *
 * @module
 */

import { parseIpv4 } from "../../net/ipv4.ts";

/**
 * Accepts an address, `localhost`, and the host's name with or without its domain.
 * A name with another domain is refused: anyone may own that domain.
 */
export function isOwnName(host: string | undefined, hostname: string): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@,[\]]+)(?::[0-9]{0,5})?$/i
    .exec(host ?? "");
  if (match === null) return false;
  const name = match[1]!.toLowerCase().replace(/\.$/, "");
  if (name.startsWith("[")) return URL.canParse(`http://${name}`);
  const own = hostname.toLowerCase();
  return parseIpv4(name) !== undefined ||
    ["localhost", own, own.split(".", 1)[0]].includes(name);
}
