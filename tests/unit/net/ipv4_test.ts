import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  formatIpv4,
  ipv4FromBytes,
  ipv4ToBytes,
  isLinkLocal,
  isLoopback,
  isMulticast,
  parseIpv4,
  toIpv4,
} from "../../../net/ipv4.ts";

const anyAddress = fc.nat(0xffffffff).map(toIpv4);

Deno.test("a dotted quad is read with its first octet highest", () => {
  assertEquals(parseIpv4("10.1.2.3"), toIpv4(0x0a010203));
  assertEquals(parseIpv4("0.0.0.0"), toIpv4(0));
  assertEquals(parseIpv4("255.255.255.255"), toIpv4(0xffffffff));
  assertEquals(parseIpv4("128.0.0.1"), toIpv4(0x80000001));
});

Deno.test("what modern Go refuses is refused", () => {
  for (
    const text of [
      "",
      "10",
      "10.1.2",
      "10.1.2.3.4",
      "10.1.2.",
      ".1.2.3",
      "10..2.3",
      "10.1.2.256",
      "10.1.2.1000",
      "10.1.2.03",
      "010.1.2.3",
      "10.1.2.-3",
      "10.1.2.+3",
      "10.1.2.3 ",
      " 10.1.2.3",
      "10.1.2.3\n",
      "0x0a.1.2.3",
      "10.1.2.1e1",
      "10.1.2.३",
      "::ffff:10.1.2.3",
    ]
  ) assertEquals(parseIpv4(text), undefined, JSON.stringify(text));
});

Deno.test("every address reads back from its text and from its bytes", () => {
  fc.assert(fc.property(anyAddress, (address) => {
    assertEquals(parseIpv4(formatIpv4(address)), address);
    assertEquals(ipv4FromBytes(ipv4ToBytes(address)), address);
  }));
});

Deno.test("only texts that are an address's own text are read", () => {
  const nearly = fc.array(fc.integer({ min: -1, max: 999 }), {
    minLength: 3,
    maxLength: 5,
  }).map((parts) => parts.join("."));
  fc.assert(fc.property(nearly, (text) => {
    const address = parseIpv4(text);
    if (address !== undefined) assertEquals(formatIpv4(address), text);
  }));
});

Deno.test("bytes are in network order, also inside a larger buffer", () => {
  assertEquals([...ipv4ToBytes(toIpv4(0xc0a80102))], [192, 168, 1, 2]);
  const view = Uint8Array.of(9, 9, 10, 1, 2, 3, 9).subarray(1);
  assertEquals(ipv4FromBytes(view, 1), toIpv4(0x0a010203));
});

Deno.test("a number is reduced modulo 2^32 and is never negative", () => {
  assertEquals(toIpv4(-1), toIpv4(0xffffffff));
  assertEquals(toIpv4(2 ** 32 + 5), toIpv4(5));
});

Deno.test("special ranges end where their documents say", () => {
  const table: [(address: ReturnType<typeof toIpv4>) => boolean, string[]][] = [
    [isLinkLocal, ["169.254.0.0", "169.254.255.255"]],
    [isLoopback, ["127.0.0.0", "127.255.255.255"]],
    [isMulticast, ["224.0.0.0", "239.255.255.255"]],
  ];
  for (const [test, [first, last]] of table) {
    const low = parseIpv4(first!)!;
    const high = parseIpv4(last!)!;
    assertEquals([test(low), test(high)], [true, true]);
    assertEquals([test(toIpv4(low - 1)), test(toIpv4(high + 1))], [
      false,
      false,
    ]);
  }
});
