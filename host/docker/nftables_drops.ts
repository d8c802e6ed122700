/**
 * What a Docker that uses nftables would drop of the overlay's packets.
 *
 * @module
 */

import { type Cidr, overlaps, parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";

/**
 * The options that the running daemon lacks, read from its own table; empty when
 * it lets the overlay in, or has no bridge on the lease.
 *
 * @param table `nft list table ip docker-bridges`.
 */
export function missingDaemonOptions(
  table: string,
  subnet: Cidr,
): string[] {
  const missing: string[] = [];
  const isDropped = table.split("\n").some((line) => {
    const text = /^\s*ip daddr (\S+) iifname .*\bdrop\b/.exec(line)?.[1];
    if (text === undefined) return false;
    const address = parseIpv4(text);
    const destination = address === undefined
      ? parseCidr(text)
      : { address, prefixLength: 32 };
    return destination !== undefined && overlaps(subnet, destination);
  });
  if (isDropped) missing.push("--allow-direct-routing");
  if (
    table.includes('comment "UNPUBLISHED PORT DROP"') &&
    !table.includes('comment "ALLOW FW MARK"')
  ) {
    missing.push("--bridge-accept-fwmark");
  }
  return missing;
}
