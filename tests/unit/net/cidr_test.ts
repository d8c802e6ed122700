import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Cidr,
  cidrOf,
  cidrSize,
  contains,
  equalCidr,
  formatCidr,
  isWithin,
  lastAddress,
  netmask,
  overlaps,
  parseAddressWithPrefix,
  parseCidr,
} from "../../../net/cidr.ts";
import { formatIpv4, parseIpv4, toIpv4 } from "../../../net/ipv4.ts";

const anyAddress = fc.nat(0xffffffff).map(toIpv4);
const anyLength = fc.integer({ min: 0, max: 32 });
const anyCidr = fc.tuple(anyAddress, anyLength)
  .map(([address, length]) => cidrOf(address, length));

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`not a network: ${text}`);
  return parsed;
}

Deno.test("host bits are masked off", () => {
  assertEquals(formatCidr(cidr("10.1.5.7/16")), "10.1.0.0/16");
  assertEquals(formatCidr(cidr("255.255.255.255/0")), "0.0.0.0/0");
  assertEquals(formatCidr(cidr("192.0.2.1/32")), "192.0.2.1/32");
  assertEquals(formatCidr(cidr("224.1.2.3/4")), "224.0.0.0/4");
});

Deno.test("an address with its length keeps its host bits", () => {
  const { address, prefixLength } = parseAddressWithPrefix("10.1.27.1/24")!;
  assertEquals([formatIpv4(address), prefixLength], ["10.1.27.1", 24]);
});

Deno.test("what is no network is refused", () => {
  for (
    const text of [
      "",
      "10.1.0.0",
      "10.1.0.0/",
      "/16",
      "10.1.0.0/33",
      "10.1.0.0/-1",
      "10.1.0.0/016",
      "10.1.0.0/+8",
      "10.1.0.0/8 ",
      "10.1.0.0/8/8",
      "10.1.0/16",
      "fc00::/48",
      "10.1.0.0/255.255.0.0",
    ]
  ) assertEquals(parseCidr(text), undefined, JSON.stringify(text));
});

Deno.test("a mask has as many leading ones as its length", () => {
  const table: [number, string][] = [
    [0, "0.0.0.0"],
    [1, "128.0.0.0"],
    [8, "255.0.0.0"],
    [24, "255.255.255.0"],
    [31, "255.255.255.254"],
    [32, "255.255.255.255"],
  ];
  for (const [length, text] of table) {
    assertEquals(netmask(length), parseIpv4(text));
  }
});

Deno.test("every network reads back from its text", () => {
  fc.assert(fc.property(anyCidr, (value) => {
    assertEquals(parseCidr(formatCidr(value)), value);
  }));
});

Deno.test("a network has its first and last address and not their neighbours", () => {
  fc.assert(fc.property(anyCidr, (value) => {
    const last = lastAddress(value);
    assertEquals(last - value.address + 1, cidrSize(value));
    assertEquals(contains(value, value.address), true);
    assertEquals(contains(value, last), true);
    if (value.prefixLength > 0) {
      assertEquals(contains(value, toIpv4(value.address - 1)), false);
      assertEquals(contains(value, toIpv4(last + 1)), false);
    }
  }));
});

Deno.test("containing is what comparing with the bounds says", () => {
  fc.assert(fc.property(anyCidr, anyAddress, (value, address) => {
    const between = address >= value.address && address <= lastAddress(value);
    assertEquals(contains(value, address), between);
  }));
});

Deno.test("overlapping is symmetric and is what comparing the ranges says", () => {
  // Neighbours on purpose: two random networks hardly ever meet.
  const pair = fc.tuple(anyCidr, anyLength, fc.integer({ min: -3, max: 3 }))
    .map(([a, length, step]): [Cidr, Cidr] => [
      a,
      cidrOf(toIpv4(a.address + step * 2 ** (32 - length)), length),
    ]);
  fc.assert(fc.property(pair, ([a, b]) => {
    const meet = a.address <= lastAddress(b) && b.address <= lastAddress(a);
    assertEquals(overlaps(a, b), meet);
    assertEquals(overlaps(b, a), meet);
  }));
});

Deno.test("a network lies within another when its first and last address do", () => {
  fc.assert(fc.property(anyCidr, anyCidr, (a, b) => {
    const lies = contains(b, a.address) && contains(b, lastAddress(a));
    assertEquals(isWithin(a, b), lies);
  }));
  fc.assert(fc.property(anyCidr, anyLength, (a, length) => {
    const around = cidrOf(a.address, Math.min(a.prefixLength, length));
    assertEquals(isWithin(a, around), true);
    assertEquals(isWithin(around, a), equalCidr(a, around));
  }));
});

Deno.test("two networks are equal by address and length", () => {
  assertEquals(equalCidr(cidr("10.1.0.0/16"), cidr("10.1.9.9/16")), true);
  assertEquals(equalCidr(cidr("10.1.0.0/16"), cidr("10.1.0.0/17")), false);
  assertEquals(equalCidr(cidr("10.1.0.0/16"), cidr("10.2.0.0/16")), false);
});
