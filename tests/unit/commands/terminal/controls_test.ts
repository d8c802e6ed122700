import { assertEquals } from "@std/assert";
import { withoutControls } from "../../../../commands/terminal/controls.ts";

Deno.test("text of others cannot control a terminal", () => {
  assertEquals(withoutControls("a\x1b[2J\x9b1m\r\nb"), "a?[2J?1m??b");
});

Deno.test("text of others cannot turn the writing direction", () => {
  assertEquals(
    withoutControls("reboot \u202ewon on\u202c \u2066# \u200f"),
    "reboot ?won on? ?# ?",
  );
});

Deno.test("letters of any language stay", () => {
  const text = "größer – 10 €, 日本語, עברית";
  assertEquals(withoutControls(text), text);
});
