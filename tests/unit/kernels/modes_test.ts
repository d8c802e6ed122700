import { assertEquals } from "@std/assert";
import { modeName, modeNamed, MODES } from "../../kernels/modes.ts";

Deno.test("a mode has one word, by which it is found", () => {
  assertEquals(MODES.map(modeName), ["auto", "xdp", "direct", "tun"]);
  assertEquals(MODES.map(modeName).map(modeNamed), [...MODES]);
  assertEquals(modeNamed("xpd"), undefined);
});
