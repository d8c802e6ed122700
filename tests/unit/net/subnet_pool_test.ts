import { assertEquals } from "@std/assert";
import { parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import {
  poolAdmits,
  poolSize,
  type SubnetPool,
  takesRoom,
} from "../../../net/subnet_pool.ts";

const pool: SubnetPool = {
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 28,
  first: parseIpv4("10.1.10.0")!,
  last: parseIpv4("10.1.50.0")!,
};

Deno.test("both bounds and what lies between may be leased", () => {
  for (const text of ["10.1.10.0/28", "10.1.10.16/28", "10.1.50.0/28"]) {
    assertEquals(poolAdmits(pool, parseCidr(text)!), true, text);
  }
});

Deno.test("what lies outside the bounds or has another length may not", () => {
  for (
    const text of [
      "10.1.9.240/28",
      "10.1.50.16/28",
      "10.1.0.0/28",
      "10.2.10.0/28",
      "10.1.10.0/24",
      "10.1.10.0/29",
      "10.1.0.0/16",
    ]
  ) assertEquals(poolAdmits(pool, parseCidr(text)!), false, text);
});

Deno.test("a pool counts its subnets, both bounds included", () => {
  assertEquals(poolSize(pool), 40 * 16 + 1);
  assertEquals(poolSize({ ...pool, last: pool.first }), 1);
  assertEquals(poolSize({ ...pool, last: parseIpv4("10.1.9.240")! }), 0);
});

Deno.test("a lease of whatever length takes room where it touches a subnet of the pool", () => {
  const lengths = {
    "10.1.9.240/28": false,
    "10.1.10.0/30": true,
    "10.1.0.0/16": true,
    "10.1.50.12/30": true,
    "10.1.50.16/28": false,
    "10.1.8.0/23": false,
  };
  for (const [text, takes] of Object.entries(lengths)) {
    assertEquals(takesRoom(pool, parseCidr(text)!), takes, text);
  }
});

Deno.test("a pool at the end of the address space has its last subnet", () => {
  const high: SubnetPool = {
    network: parseCidr("240.0.0.0/4")!,
    subnetLength: 24,
    first: parseIpv4("240.0.1.0")!,
    last: parseIpv4("255.255.255.0")!,
  };
  assertEquals(poolAdmits(high, parseCidr("255.255.255.0/24")!), true);
  assertEquals(poolAdmits(high, parseCidr("240.0.0.0/24")!), false);
});
