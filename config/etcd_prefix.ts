/**
 * The key prefix of a network.
 *
 * @module
 */

// Built in: @std/path would take 16 ms of the time to the first packet.
import { join } from "node:path/posix";

/**
 * The prefix without `//`, `.`, `..` and a `/` at the end, so that
 * `${prefix}/config` is the key: flannel joins the two by Go's `path.Join`
 * (compat 1.3). `undefined` when nothing is left to put a key under.
 */
export function cleanEtcdPrefix(prefix: string): string | undefined {
  const key = join(prefix, "config");
  return key === "config" ? undefined : key.slice(0, -"/config".length);
}
