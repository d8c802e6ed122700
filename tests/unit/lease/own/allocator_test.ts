import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { allocateSubnet } from "../../../../lease/own/allocator.ts";
import {
  type Cidr,
  cidrOf,
  cidrSize,
  formatCidr,
  overlaps,
  parseCidr,
} from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import { poolAdmits, type SubnetPool } from "../../../../net/subnet_pool.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

function pool(
  network: string,
  subnetLength: number,
  first: string,
  last: string,
): SubnetPool {
  return {
    network: parseCidr(network)!,
    subnetLength,
    first: parseIpv4(first)!,
    last: parseIpv4(last)!,
  };
}

const SIXTEEN = pool("10.1.0.0/16", 24, "10.1.1.0", "10.1.255.0");

Deno.test("first and last subnet of the pool can both be allocated", () => {
  const small = pool("10.1.0.0/16", 28, "10.1.10.0", "10.1.10.16");
  const seen = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    seen.add(formatCidr(allocateSubnet(small, [], new FakeRandom(seed))!));
  }
  assertEquals([...seen].sort(), ["10.1.10.0/28", "10.1.10.16/28"]);
});

Deno.test("a free subnet is one of the first hundred", () => {
  const seen = new Set<number>();
  for (let seed = 1; seed <= 3_000; seed++) {
    const subnet = allocateSubnet(SIXTEEN, [], new FakeRandom(seed))!;
    seen.add((subnet.address >>> 8) & 255);
  }
  assertEquals(Math.min(...seen), 1);
  assertEquals(Math.max(...seen), 100);
  assertEquals(seen.size, 100);
});

Deno.test("the last free subnet is found", () => {
  const held = Array.from(
    { length: 254 },
    (_, i) => cidrOf(parseIpv4(`10.1.${i + 1}.0`)!, 24),
  );
  assertEquals(
    formatCidr(allocateSubnet(SIXTEEN, held, new FakeRandom())!),
    "10.1.255.0/24",
  );
});

Deno.test("one lease that covers the whole pool exhausts it", () => {
  const held = [parseCidr("10.0.0.0/8")!];
  assertEquals(allocateSubnet(SIXTEEN, held, new FakeRandom()), undefined);
});

Deno.test("of a /8 with sixty thousand leases a free subnet is found", () => {
  const big = pool("10.0.0.0/8", 24, "10.0.1.0", "10.255.255.0");
  const held = Array.from(
    { length: 60_000 },
    (_, i) => cidrOf(toIpv4(big.first + i * 256), 24),
  );
  const found = allocateSubnet(big, held, new FakeRandom())!;
  assert(poolAdmits(big, found));
  assert(!held.some((cidr) => overlaps(cidr, found)));
});

const poolArbitrary = fc.record({
  subnetLength: fc.integer({ min: 22, max: 30 }),
  first: fc.integer({ min: 0, max: 255 }),
  count: fc.integer({ min: 1, max: 40 }),
}).map(({ subnetLength, first, count }): SubnetPool => {
  const size = 2 ** (32 - subnetLength);
  const network = parseCidr("10.0.0.0/8")!;
  const start = network.address + first * size;
  return {
    network,
    subnetLength,
    first: toIpv4(start),
    last: toIpv4(start + (count - 1) * size),
  };
});

/** Leases of every length around the pool. */
const heldArbitrary = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 2 ** 19 }),
    fc.integer({ min: 20, max: 31 }),
  ).map(([offset, length]): Cidr =>
    cidrOf(toIpv4(parseIpv4("10.0.0.0")! + offset), length)
  ),
  { maxLength: 60 },
);

Deno.test("an allocated subnet fits the pool and overlaps no lease, and exhaustion means that none would", () => {
  fc.assert(
    fc.property(
      poolArbitrary,
      heldArbitrary,
      fc.integer(),
      (anyPool, held, seed) => {
        const size = cidrSize({
          address: anyPool.first,
          prefixLength: anyPool.subnetLength,
        });
        const free: string[] = [];
        for (let at: number = anyPool.first; at <= anyPool.last; at += size) {
          const candidate = cidrOf(toIpv4(at), anyPool.subnetLength);
          if (!held.some((lease) => overlaps(lease, candidate))) {
            free.push(formatCidr(candidate));
          }
        }
        const subnet = allocateSubnet(anyPool, held, new FakeRandom(seed));
        if (subnet === undefined) return assertEquals(free, []);
        assert(poolAdmits(anyPool, subnet));
        assert(free.slice(0, 100).includes(formatCidr(subnet)));
      },
    ),
    { numRuns: 500 },
  );
});
