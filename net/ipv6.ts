/**
 * IPv6 addresses as 128-bit numbers, for texts that mention some.
 *
 * @module
 */

import { parseIpv4 } from "./ipv4.ts";

/** Reads an address in any form of RFC 4291, section 2.2; `undefined` for others. */
export function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined) return undefined;
  if (tail === undefined) {
    return halves.length === 1 && head.length === 8 ? join(head) : undefined;
  }
  const missing = 8 - head.length - tail.length;
  return missing < 1
    ? undefined
    : join([...head, ...Array<number>(missing).fill(0), ...tail]);
}

function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const words = text.split(":");
  for (const [index, word] of words.entries()) {
    const quad = index === words.length - 1 ? parseIpv4(word) : undefined;
    if (quad !== undefined) groups.push(quad >>> 16, quad & 0xffff);
    else if (/^[0-9a-f]{1,4}$/i.test(word)) groups.push(parseInt(word, 16));
    else return undefined;
  }
  return groups;
}

function join(groups: readonly number[]): bigint {
  return groups.reduce((value, group) => value << 16n | BigInt(group), 0n);
}

/** The canonical form, RFC 5952. */
export function formatIpv6(address: bigint): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) =>
      Number(address >> BigInt(112 - 16 * index) & 0xffffn).toString(16),
  );
  const zeros =
    [...groups.join(":").matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)]
      .toSorted((a, b) => b[0].length - a[0].length)[0];
  if (zeros === undefined) return groups.join(":");
  const text = groups.join(":");
  const before = text.slice(0, zeros.index).replace(/:$/, "");
  const behind = text.slice(zeros.index + zeros[0].length).replace(/^:/, "");
  return `${before}::${behind}`;
}
