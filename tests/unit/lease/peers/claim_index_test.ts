import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ClaimIndex } from "../../../../lease/peers/claim_index.ts";
import { cidrOf, overlaps, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";

function claim(subnet: string, publicIp: string) {
  return { subnet: parseCidr(subnet)!, publicIp: parseIpv4(publicIp)! };
}

Deno.test("an address and any overlap are claims, the neighbour is none", () => {
  const index = new ClaimIndex();
  index.add(claim("10.1.4.0/24", "192.0.2.4"));
  for (
    const [subnet, publicIp, expected] of [
      ["10.9.9.0/24", "192.0.2.4", true],
      ["10.1.4.0/24", "192.0.2.9", true],
      ["10.1.4.64/26", "192.0.2.9", true],
      ["10.1.0.0/16", "192.0.2.9", true],
      ["10.0.0.0/8", "192.0.2.9", true],
      ["10.1.5.0/24", "192.0.2.9", false],
      ["10.1.3.0/24", "192.0.2.9", false],
      ["10.1.5.0/26", "192.0.2.9", false],
    ] as const
  ) {
    assertEquals(index.hasClaimOn(claim(subnet, publicIp)), expected, subnet);
  }
});

Deno.test("of two equal claims one may go", () => {
  const index = new ClaimIndex();
  const one = claim("10.1.4.0/24", "192.0.2.4");
  index.add(one);
  index.add(one);
  index.delete(one);
  assert(index.hasClaimOn(one));
  index.delete(one);
  assert(!index.hasClaimOn(one));
});

Deno.test("it says what comparing with each would say", () => {
  const claims = fc.record({
    length: fc.integer({ min: 20, max: 31 }),
    address: fc.integer({ min: 0, max: 0xffff }),
    publicIp: fc.integer({ min: 1, max: 30 }),
  }).map(({ length, address, publicIp }) => ({
    subnet: cidrOf(toIpv4(0xc0a8_0000 + address), length),
    publicIp: toIpv4(0xc633_6400 + publicIp),
  }));
  fc.assert(fc.property(
    fc.array(claims, { maxLength: 20 }),
    fc.array(claims, { maxLength: 20 }),
    fc.array(claims, { minLength: 1, maxLength: 20 }),
    (kept, gone, asked) => {
      const index = new ClaimIndex();
      for (const one of [...gone, ...kept]) index.add(one);
      for (const one of gone) index.delete(one);
      for (const one of asked) {
        assertEquals(
          index.hasClaimOn(one),
          kept.some((other) =>
            other.publicIp === one.publicIp ||
            overlaps(other.subnet, one.subnet)
          ),
        );
      }
    },
  ));
});
