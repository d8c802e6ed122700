/**
 * The names of hosts that a bundle may mention.
 *
 * @module
 */

import type { Settings } from "../../config/settings.ts";
import { readIfThere } from "../../linux/read_if_there.ts";

/** Names to replace. */
export interface KnownNames {
  /** With their domain or without. */
  readonly hosts: readonly string[];
  readonly domains: readonly string[];
}

/** This host's, etcd's, and those of `/etc/hosts` and `/etc/resolv.conf`. */
export function knownNames(settings: readonly Settings[]): KnownNames {
  return {
    hosts: [
      Deno.hostname(),
      ...settings.flatMap(({ etcdEndpoints }) =>
        etcdEndpoints.map((endpoint) => new URL(endpoint).hostname)
      ),
      ...namesInHosts(readIfThere("/etc/hosts") ?? ""),
      readIfThere("/etc/hostname")?.trim() ?? "",
    ].filter((name) => name !== ""),
    domains: domainsInResolver(readIfThere("/etc/resolv.conf") ?? ""),
  };
}

/** Without the common names of the loopback and of IPv6's groups. */
function namesInHosts(text: string): string[] {
  return text.split("\n")
    .flatMap((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1))
    .filter((name) => !/^(?:localhost|ip6-)/.test(name));
}

function domainsInResolver(text: string): string[] {
  return [...text.matchAll(/^(?:search|domain)\s+(.*)$/gm)]
    .flatMap(([, domains]) => domains!.trim().split(/\s+/));
}
