/**
 * Replaces addresses and host names by pseudonyms, the same for each throughout one
 * bundle.
 *
 * IPv4 and IPv6 addresses keep their prefix relations: whether two are in one
 * subnet, and whether an address is private, can still be seen. Addresses that say
 * nothing about a site stay: loopback, multicast, broadcast, netmasks.
 *
 * @module
 */

import { formatIpv4, parseIpv4, toIpv4 } from "../../net/ipv4.ts";
import { formatIpv6, parseIpv6 } from "../../net/ipv6.ts";
import type { KnownNames } from "./host_names.ts";
import { ORDINARY_WORDS } from "./ordinary_words.ts";
import { PrefixTree, type RandomBit } from "./prefix_tree.ts";

/** `10.1.5.0/24`, also as `10-1-5-0` in names, and `10.1.5.0-24` in keys of leases. */
const IPV4 =
  /(?<![0-9]|[0-9][.])([0-9]{1,3})([.-])([0-9]{1,3})\2([0-9]{1,3})\2([0-9]{1,3})(?:([/-])([0-9]{1,2})(?![0-9.-]))?(?![0-9])/g;
/** Behind `\n` in JSON, an `n` belongs to nothing. */
const IPV6 =
  /(?:(?<=\\[nrt])|(?<![0-9A-Za-z:.]))((?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)(?:\/([0-9]{1,3}))?(?![0-9A-Za-z:])/g;
/** Six bytes, and up to twenty on other links than Ethernet. */
const MAC =
  /(?<![0-9A-Fa-f][:-]?)[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4,18}(?![:-]?[0-9A-Fa-f])/g;
/** A MAC address inside of a name, as in `enx0123456789ab`. */
const PLAIN_MAC = /(?<![0-9A-Fa-f])[0-9A-Fa-f]{12}(?![0-9A-Fa-f])/g;

/** Trees are drawn until no pseudonym is an address of the world. */
const MOST_DRAWS = 50;
/** Of so many addresses some will be, and a draw takes a while. */
const MANY_ADDRESSES = 1_000;

/** See the module's text. */
export class Pseudonyms {
  readonly #ipv4 = new Map<string, string>();
  /** Base addresses of networks, with the shortest length of each. */
  readonly #networks = new Map<string, number>();
  readonly #ipv6 = new Map<string, string>();
  readonly #macs = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #nameForms: RegExp | undefined;
  #trees: { readonly ipv4: PrefixTree; readonly ipv6: PrefixTree };

  /**
   * @param texts in which everything occurs that is to be replaced.
   * @param names of hosts as they may occur, with their domain or without.
   */
  constructor(
    texts: readonly string[],
    names: KnownNames,
    random: RandomBit = randomBits(),
  ) {
    this.#nameForms = this.#takeNames({
      ...names,
      hosts: [...names.hosts, ...texts.flatMap(namesIn)],
    });
    this.#trees = newTrees(random);
    this.#collect(texts);
    this.#drawApart(random);
    this.#drawMacs(random);
  }

  /** The text with pseudonyms. */
  replace(text: string): string {
    const withoutNames = this.#nameForms === undefined ? text : text.replace(
      this.#nameForms,
      (name) => this.#names.get(name.toLowerCase()) ?? name,
    );
    return withoutNames
      .replace(MAC, (mac) => this.#macs.get(mac.toLowerCase()) ?? mac)
      .replace(PLAIN_MAC, (mac) => {
        const known = this.#macs.get(withColons(mac));
        return known?.replaceAll(":", "") ?? mac;
      })
      .replace(IPV6, (whole, text: string, length?: string) => {
        const shown = this.#showIpv6(text, length);
        return shown ?? whole;
      })
      .replace(IPV4, (whole, ...groups) => this.#showIpv4(whole, groups));
  }

  #takeNames({ domains: alone, hosts }: KnownNames): RegExp | undefined {
    const domains = new Map<string, string>();
    const pseudonymOf = (domain: string) => {
      const pseudonym = domains.get(domain) ??
        `domain-${domains.size + 1}.invalid`;
      domains.set(domain, pseudonym);
      return pseudonym;
    };
    for (const domain of alone) pseudonymOf(domain.toLowerCase());
    let count = 0;
    for (const name of new Set(hosts.map((each) => each.toLowerCase()))) {
      if (!isName(name)) continue;
      const [short, ...rest] = name.split(".");
      const host = this.#names.get(short!) ?? `host-${++count}`;
      this.#names.set(short!, host);
      if (rest.length === 0) continue;
      this.#names.set(name, `${host}.${pseudonymOf(rest.join("."))}`);
    }
    // Of one label, as in web1.lan or example.com, it is a common word.
    for (const [domain, pseudonym] of domains) {
      if (domain.includes(".")) this.#names.set(domain, pseudonym);
    }
    const forms = [...this.#names.keys()]
      .filter((name) => !ORDINARY_WORDS.has(name) && name.length > 1)
      .sort((a, b) => b.length - a.length)
      .map(RegExp.escape);
    return forms.length === 0 ? undefined : new RegExp(
      `(?<![A-Za-z0-9])(?:${forms.join("|")})(?![A-Za-z0-9])`,
      "gi",
    );
  }

  #collect(texts: readonly string[]): void {
    for (const text of texts) {
      for (const [, ...groups] of text.matchAll(IPV4)) {
        const found = readIpv4(groups);
        if (found === undefined || isPublicKnowledge(found.address)) continue;
        this.#ipv4.set(found.text, "");
        if (!found.isNetwork) continue;
        const known = this.#networks.get(found.text) ?? 32;
        this.#networks.set(found.text, Math.min(known, found.length!));
      }
      for (const [, address] of text.matchAll(IPV6)) {
        const value = parseIpv6(address!);
        if (value !== undefined && keptOfIpv6(value) < 128) {
          this.#ipv6.set(formatIpv6(value), "");
        }
      }
      for (const [mac] of text.matchAll(MAC)) {
        if (keptOfMac(mac) < 6) this.#macs.set(mac.toLowerCase(), "");
      }
    }
  }

  /** Draws until no pseudonym is an address that occurs, as far as there is room. */
  #drawApart(random: RandomBit): void {
    const count = this.#ipv4.size + this.#ipv6.size;
    const draws = count > MANY_ADDRESSES ? 1 : MOST_DRAWS;
    let best = Infinity;
    for (let draw = 0; draw < draws && best > 0; draw++) {
      const trees = newTrees(random);
      const ipv4 = [...this.#ipv4.keys()].map((text) =>
        [text, mapIpv4(trees.ipv4, parseIpv4(text)!)] as const
      );
      const ipv6 = [...this.#ipv6.keys()].map((text) =>
        [text, mapIpv6(trees.ipv6, parseIpv6(text)!)] as const
      );
      const clashes = ipv4.filter(([text, mapped]) =>
        this.#ipv4.has(mapped) || isSpecial(mapped) !== isSpecial(text) ||
        this.#ipv4.has(masked(parseIpv4(mapped)!, this.#networks.get(text)))
      ).length + ipv6.filter(([, mapped]) =>
        this.#ipv6.has(mapped)
      ).length;
      if (clashes >= best) continue;
      best = clashes;
      this.#trees = trees;
      for (const [text, mapped] of ipv4) this.#ipv4.set(text, mapped);
      for (const [text, mapped] of ipv6) this.#ipv6.set(text, mapped);
    }
  }

  #drawMacs(random: RandomBit): void {
    const taken = new Set(this.#macs.keys());
    for (const mac of this.#macs.keys()) {
      let pseudonym: string;
      do pseudonym = randomMac(mac, random); while (taken.has(pseudonym));
      taken.add(pseudonym);
      this.#macs.set(mac, pseudonym);
    }
  }

  #showIpv4(whole: string, groups: string[]): string {
    const found = readIpv4(groups);
    if (found === undefined) return whole;
    const { isNetwork, length, separator, text } = found;
    const mapped = this.#ipv4.get(text);
    if (mapped === undefined) return whole;
    const bits = isNetwork ? length : this.#networks.get(text);
    const shown = masked(parseIpv4(mapped)!, bits);
    return shown.replaceAll(".", groups[1]!) +
      (length === undefined ? "" : `${separator}${length}`);
  }

  #showIpv6(text: string, length: string | undefined): string | undefined {
    const value = parseIpv6(text);
    if (value === undefined) return undefined;
    const mapped = this.#ipv6.get(formatIpv6(value));
    if (mapped === undefined) return undefined;
    const bits = length === undefined ? 128 : Number(length);
    const rest = BigInt(Math.max(0, 128 - bits));
    const isNetwork = rest > 0n && (value & ((1n << rest) - 1n)) === 0n;
    const shown = isNetwork
      ? formatIpv6(parseIpv6(mapped)! >> rest << rest)
      : mapped;
    return length === undefined ? shown : `${shown}/${length}`;
  }
}

/** Of URLs, of certificates, and of names that do not resolve. */
function namesIn(text: string): string[] {
  return [
    ...text.matchAll(
      /(?:[a-z]:\/\/(?:\[removed\]@)?|\bDNS:|\b(?:ENOTFOUND|EAI_AGAIN|Host:) )([\w-]+(?:\.[\w-]+)*)/g,
    ),
  ].map(([, name]) => name!);
}

/** A letter in it tells a name from an address. */
function isName(name: string): boolean {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) && /[a-z]/.test(name) &&
    name !== "localhost" && name !== "localhost.localdomain";
}

function randomBits(): RandomBit {
  const bytes = new Uint8Array(4_096);
  let used = bytes.length;
  return () => {
    if (used === bytes.length) {
      crypto.getRandomValues(bytes);
      used = 0;
    }
    return (bytes[used++]! & 1) === 1;
  };
}

function newTrees(random: RandomBit) {
  return {
    ipv4: new PrefixTree(32, random),
    ipv6: new PrefixTree(128, random),
  };
}

interface FoundIpv4 {
  readonly text: string;
  readonly address: number;
  readonly separator: string | undefined;
  /** The prefix length behind it. */
  readonly length: number | undefined;
  /** Whether it has no bits beyond that. */
  readonly isNetwork: boolean;
}

/** The groups of {@linkcode IPV4}. */
function readIpv4(
  groups: readonly (string | undefined)[],
): FoundIpv4 | undefined {
  const [a, , b, c, d, separator, digits] = groups;
  const text = [a, b, c, d].map(Number).join(".");
  const address = parseIpv4(text);
  if (address === undefined) return undefined;
  const length = digits === undefined ? undefined : Number(digits);
  const isNetwork = length !== undefined && length < 32 &&
    (address & (0xffff_ffff >>> length)) === 0;
  return { text, address, separator, length, isNetwork };
}

/** The base of the address's network of so many bits; by default, itself. */
function masked(address: number, bits = 32): string {
  return formatIpv4(toIpv4(bits === 0 ? 0 : address & (-1 << (32 - bits))));
}

/** RFC 6890 and RFC 5771: first bits that say what kind of address it is. */
const KINDS: readonly (readonly [prefix: string, bits: number])[] = [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
];
/** The same for everybody. */
const COMMON: typeof KINDS = [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["224.0.0.0", 4],
];

function kindOf(address: number, kinds: typeof KINDS): number | undefined {
  return kinds.find(([prefix, bits]) => masked(address, bits) === prefix)?.[1];
}

/** Loopback, multicast, broadcast, and netmasks such as 255.255.255.0. */
function isPublicKnowledge(address: number): boolean {
  const isNetmask = address >>> 24 === 255 &&
    ((~address >>> 0) & ((~address >>> 0) + 1)) === 0;
  return isNetmask || kindOf(address, COMMON) !== undefined;
}

/** Of another kind than an address of the Internet. */
function isSpecial(text: string): boolean {
  const address = parseIpv4(text)!;
  return address >>> 28 >= 0xe || kindOf(address, COMMON) !== undefined ||
    kindOf(address, KINDS) !== undefined;
}

function mapIpv4(tree: PrefixTree, address: number): string {
  const kept = kindOf(address, KINDS) ?? 0;
  return formatIpv4(toIpv4(Number(tree.map(BigInt(address), kept))));
}

function mapIpv6(tree: PrefixTree, address: bigint): string {
  return formatIpv6(tree.map(address, keptOfIpv6(address)));
}

/** RFC 4291 and RFC 4193: first bits that stay. */
function keptOfIpv6(address: bigint): number {
  const first = Number(address >> 112n);
  if (address >> 16n === 0n) return 128;
  // An IPv4 address, mapped.
  if (address >> 32n === 0xffffn) return 96;
  if (first >> 8 === 0xff) {
    return (address & 0xffff_ffff_ffffn) < 0x1_0000n ? 128 : 16;
  }
  if (first >> 6 === 0xfe80 >> 6) return 64;
  if (first >> 9 === 0xfc00 >> 9) return 8;
  return 3;
}

/** Bytes of an address that stay; all, if it is that of a common group. */
function keptOfMac(mac: string): number {
  const text = mac.toLowerCase().replaceAll("-", ":");
  if (/^(?:00(?::00)*|ff(?::ff)*)$/.test(text)) return Infinity;
  if (/^(?:01:00:5e:|33:33:00:00:00:|01:80:c2:)/.test(text)) return Infinity;
  return text.startsWith("33:33:") ? 2 : 0;
}

function randomMac(mac: string, random: RandomBit): string {
  const separator = mac[2]!;
  const bytes = mac.split(separator);
  const kept = keptOfMac(mac);
  const drawn = bytes.map((byte, index) => {
    if (index < kept) return byte;
    // Locally administered, unicast: such an address belongs to no maker.
    return index === 0 ? "02" : randomByte(random);
  });
  return drawn.join(separator);
}

function randomByte(random: RandomBit): string {
  let byte = 0;
  for (let bit = 0; bit < 8; bit++) byte = byte * 2 + Number(random());
  return byte.toString(16).padStart(2, "0");
}

function withColons(mac: string): string {
  return mac.toLowerCase().match(/../g)!.join(":");
}
