import { assertEquals } from "@std/assert";
import { addressOf } from "../../../../linux/libc.ts";
import type { Layout } from "../../../../linux/bpf/layouts.ts";
import { fixedBytes, Structure } from "../../../../linux/bpf/structure.ts";

const LAYOUT = {
  small: { offset: 0, bytes: 4 },
  large: { offset: 8, bytes: 8 },
  name: { offset: 16, bytes: 4 },
} as const satisfies Layout;

Deno.test("numbers are put in the machine's byte order, negative ones as their complement", () => {
  const structure = new Structure(LAYOUT, 32)
    .set("small", -1)
    .set("large", 0x0102_0304_0506n);
  assertEquals(
    structure.bytes.toHex().slice(0, 32),
    "ffffffff" + "00000000" + "0605040302010000",
  );
  assertEquals(structure.get("small"), 0xffff_ffff);
});

Deno.test("a pointer is the memory's address, and 0 when it has no bytes", () => {
  const memory = fixedBytes(8);
  const structure = new Structure(LAYOUT, 32).point("large", memory);
  const view = new DataView(structure.bytes.buffer);
  assertEquals(view.getBigUint64(8, true), BigInt(addressOf(memory)));
  structure.point("large", fixedBytes(0));
  assertEquals(view.getBigUint64(8, true), 0n);
});

Deno.test("a name keeps its last byte for the NUL, and is read up to it", () => {
  const structure = new Structure(LAYOUT, 32).setName("name", "a".repeat(20));
  assertEquals(structure.getName("name"), "a".repeat(15));
  assertEquals(structure.bytes[31], 0);
});
