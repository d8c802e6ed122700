import { assertEquals } from "@std/assert";
import { formatMac, parseMac } from "../../../net/mac.ts";

Deno.test("a hardware address is six bytes in lower case with leading zeros", () => {
  assertEquals(
    formatMac(Uint8Array.of(0x02, 0x0a, 0xff, 0x00, 0xbc, 0x9d)),
    "02:0a:ff:00:bc:9d",
  );
});

Deno.test("a device without one has an empty text", () => {
  assertEquals(formatMac(new Uint8Array(0)), "");
});

Deno.test("parseMac() reads the forms that Go reads, of six bytes only", () => {
  const bytes = Uint8Array.of(0x02, 0x0a, 0xff, 0x00, 0xbc, 0x9d);
  for (
    const text of ["02:0a:ff:00:bc:9d", "02-0A-FF-00-BC-9D", "020a.ff00.bc9d"]
  ) assertEquals(parseMac(text), bytes);
  for (
    const text of [
      "",
      "xx",
      "02:0a:ff:00:bc",
      "02:0a:ff:00:bc:9d:01:02",
      "02:0a-ff:00:bc:9d",
      "020aff00bc9d",
      " 02:0a:ff:00:bc:9d",
    ]
  ) assertEquals(parseMac(text), undefined);
});
