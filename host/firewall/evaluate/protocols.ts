/**
 * Names of protocols in rules.
 *
 * @module
 */

/** As /etc/protocols has them; the tools print others as numbers. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["ipip", 4],
  ["ipencap", 4],
  ["tcp", 6],
  ["udp", 17],
  ["ipv6", 41],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
  ["sctp", 132],
  ["udplite", 136],
]);

/** IPPROTO_* of a name or a number; `undefined` if it is neither. */
export function protocolNumber(text: string): number | undefined {
  return NUMBERS.get(text) ?? (/^\d+$/.test(text) ? Number(text) : undefined);
}
