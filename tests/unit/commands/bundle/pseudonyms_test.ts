import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import fc from "fast-check";
import { PrefixTree } from "../../../../commands/bundle/prefix_tree.ts";
import { Pseudonyms } from "../../../../commands/bundle/pseudonyms.ts";
import { isWithin, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";

const NO_NAMES = { hosts: [], domains: [] };

function anonymize(text: string, hosts: string[] = [], domains: string[] = []) {
  return new Pseudonyms([text], { hosts, domains }).replace(text);
}

Deno.test("two addresses share a prefix of some length before and after", () => {
  const tree = new PrefixTree(32, () => Math.random() < 0.5);
  const common = (a: bigint, b: bigint) => {
    let bits = 32;
    for (let rest = a ^ b; rest > 0n; rest >>= 1n) bits--;
    return bits;
  };
  const address = fc.nat({ max: 0xffff_ffff }).map(BigInt);
  fc.assert(fc.property(address, address, (a, b) => {
    assertEquals(common(tree.map(a, 0), tree.map(b, 0)), common(a, b));
    assertEquals(tree.map(a, 8) >> 24n, a >> 24n);
  }));
});

Deno.test("an address has one pseudonym, and stays in its subnet", () => {
  const text =
    "10.1.5.0/24 10.1.5.7 10.1.5.7/32 10.1.6.9 10.1.0.0/16 10.1.5.0 " +
    "10.1.5.0-24 192.0.2.11";
  const shown = anonymize(text).split(" ");
  const [subnet, container, same, other, network, base, key, host] = shown;
  assertEquals(same, `${container}/32`);
  assertEquals(key, subnet!.replace("/", "-"));
  assertEquals(`${base}/24`, subnet);
  const within = (address: string, of: string) =>
    isWithin(
      { address: parseIpv4(address)!, prefixLength: 32 },
      parseCidr(of)!,
    );
  assert(within(container!, subnet!));
  assert(!within(other!, subnet!));
  assert(within(container!, network!) && within(other!, network!));
  assert(shown.slice(0, 7).every((each) => each.startsWith("10.")));
  assertMatch(host!, /^\d+\.\d+\.\d+\.\d+$/);
});

Deno.test("no address, MAC address or name is left, in whatever form it is written", () => {
  const texts = [
    'inet 192.0.2.11/24 brd 192.0.2.255 "\\n192.0.2.12:2379\\n"',
    "ip-192-0-2-11 aimed at 192.0.2.11",
    "link/ether 02:00:C0:00:02:0b inet6 fe80::c0ff:fe00:20b%eth0",
    "altname enx0200c000020b dst 02-00-c0-00-02-0b",
    "\\nfe80::c0ff:fe00:20b and 2001:db8:1::5/64 ::ffff:192.0.2.11",
    "33:33:ff:00:02:0b dev eth0",
    "web1 WEB1.corp.example.org on web1.corp.example.org:2379 corp.example.org",
  ];
  const all = texts.join("\n");
  const shown = anonymize(all, ["web1.corp.example.org"]);
  for (
    const part of [
      /192[.-]0[.-]2/,
      /02:00:c0:00/i,
      /0200c000020b/,
      /02-00-c0/,
      /fe00:20b/,
      /2001:db8/,
      /ff:00:02:0b/,
      /web1|corp/i,
      /c000:20b/,
    ]
  ) assertEquals(part.exec(shown)?.[0], undefined, shown);
  assertMatch(
    shown,
    /host-1 host-1\.domain-1\.invalid on host-1\.domain-1\.invalid:2379 domain-1\.invalid$/,
  );
  assertMatch(shown, /^inet \d/);
});

Deno.test("pseudonyms are no addresses of the world, as long as there is room", () => {
  const addresses = Array.from({ length: 60 }, (_, i) => `10.1.${i}.1`);
  const text = [...addresses, "192.168.7.7", "203.0.113.9"].join(" ");
  for (let round = 0; round < 20; round++) {
    const shown = anonymize(text).split(" ");
    assertEquals(shown.filter((each) => text.split(" ").includes(each)), []);
    assertEquals(new Set(shown).size, shown.length);
    assertMatch(shown.at(-2)!, /^192\.168\./);
  }
});

Deno.test("what says nothing about a site stays", () => {
  const text =
    "0.0.0.0/0 127.0.0.53 255.255.255.255 255.255.240.0 224.0.0.251 " +
    "::/0 ::1 ff02::1 ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 01:00:5e:00:00:01 " +
    "33:33:00:00:00:01 12:34:56 2026-11-29T01:02:03.456Z v1.8.11 6.12.41 300.1.2.3";
  assertEquals(anonymize(text, ["localhost"]), text);
});

Deno.test("names of hosts are also found in URLs, certificates and errors", () => {
  const text = "https://etcd-a.corp.example:2379 [removed] " +
    "https://[removed]@etcd-b.corp.example Host: node7. is not in the cert's " +
    "altnames: DNS:etcd-c.corp.example, DNS:node8 getaddrinfo ENOTFOUND node9";
  const shown = anonymize(text);
  assertEquals(/etcd-|node\d|corp/.exec(shown)?.[0], undefined, shown);
  assertMatch(shown, /^https:\/\/host-\d\.domain-1\.invalid:2379 \[removed\] /);
});

Deno.test("a host with the name of a common word does not take that word away", () => {
  const text = "root of etcd on etcd.example.net and docker";
  assertEquals(
    anonymize(text, ["etcd.example.net", "docker"], ["net"]),
    "root of etcd on host-1.domain-2.invalid and docker",
  );
});

Deno.test("two bundles have different pseudonyms", () => {
  const text = Array.from({ length: 30 }, (_, i) => `10.1.${i}.${i}`).join(" ");
  assertNotEquals(anonymize(text), anonymize(text));
});

Deno.test("10,000 addresses take no minute", () => {
  const text = Array.from(
    { length: 10_000 },
    (_, i) => `10.${i >> 8}.${i & 255}.0/24`,
  ).join("\n");
  const begin = performance.now();
  new Pseudonyms([text], NO_NAMES).replace(text);
  assert(performance.now() - begin < 20_000);
});
