import { assertEquals } from "@std/assert";
import { formatMac } from "../../../net/mac.ts";

Deno.test("a hardware address is six bytes in lower case with leading zeros", () => {
  assertEquals(
    formatMac(Uint8Array.of(0x02, 0x0a, 0xff, 0x00, 0xbc, 0x9d)),
    "02:0a:ff:00:bc:9d",
  );
});

Deno.test("a device without one has an empty text", () => {
  assertEquals(formatMac(new Uint8Array(0)), "");
});
