import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { internetChecksum } from "../../../net/checksum.ts";

/** RFC 1071 word by word, folded after each addition. */
function slowChecksum(bytes: Uint8Array): number {
  const padded = bytes.length % 2 === 0 ? bytes : Uint8Array.of(...bytes, 0);
  let sum = 0n;
  for (let index = 0; index < padded.length; index += 2) {
    sum += BigInt(padded[index]! * 256 + padded[index + 1]!);
    if (sum > 0xffffn) sum -= 0xffffn;
  }
  return Number(0xffffn - sum);
}

Deno.test("the checksum of RFC 1071's example is right", () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assertEquals(internetChecksum(bytes), 0xffff - 0xddf2);
});

Deno.test("a known IPv4 header has its known checksum, and sums to 0 with it", () => {
  const header = Uint8Array.of(
    ...[0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11],
    ...[0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7],
  );
  assertEquals(internetChecksum(header), 0xb861);
  header.set([0xb8, 0x61], 10);
  assertEquals(internetChecksum(header), 0);
});

Deno.test("nothing, zeros and an odd end have their checksums", () => {
  assertEquals(internetChecksum(new Uint8Array(0)), 0xffff);
  assertEquals(internetChecksum(new Uint8Array(20)), 0xffff);
  assertEquals(internetChecksum(Uint8Array.of(0x12)), 0xffff - 0x1200);
  assertEquals(internetChecksum(new Uint8Array(65535).fill(0xff)), 0x00ff);
});

Deno.test("an initial sum counts as words before the bytes", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 2, maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }),
    (head, tail) => {
      if (head.length % 2 === 1) head = head.subarray(1);
      const initial = 0xffff - internetChecksum(head);
      assertEquals(
        internetChecksum(tail, initial) % 0xffff,
        internetChecksum(Uint8Array.of(...head, ...tail)) % 0xffff,
      );
    },
  ));
});

Deno.test("any bytes have the checksum that word by word gives, up to the two zeros", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
    assertEquals(
      internetChecksum(bytes) % 0xffff,
      slowChecksum(bytes) % 0xffff,
    );
  }));
});

Deno.test("any packet with its checksum in place sums to 0", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 12, maxLength: 200 }),
    (bytes) => {
      bytes.set([0, 0], 10);
      const checksum = internetChecksum(bytes);
      bytes.set([checksum >> 8, checksum & 255], 10);
      assertEquals(internetChecksum(bytes), 0);
    },
  ));
});
