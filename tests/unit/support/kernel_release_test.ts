import { assertEquals, assertThrows } from "@std/assert";
import { linuxSince } from "../../support/kernel_release.ts";

Deno.test("linuxSince() compares releases by number, not by text", () => {
  assertEquals(linuxSince("6.6", "6.12.118+deb13-amd64"), true);
  assertEquals(linuxSince("6.12", "6.12.0"), true);
  assertEquals(linuxSince("6.6", "6.1.192"), false);
  assertEquals(linuxSince("5.12", "6.1.0"), true);
  assertEquals(linuxSince("7.3", "6.18.44-fc-v657"), false);
});

Deno.test("linuxSince() refuses what is no release", () => {
  assertThrows(() => linuxSince("6", "6.1"), Error, "must be like 6.12");
});
