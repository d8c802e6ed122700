import { assertEquals, assertThrows } from "@std/assert";
import { translateGoRegex } from "../../../config/go_regex.ts";

function matches(pattern: string, text: string): boolean {
  return new RegExp(translateGoRegex(pattern), "u").test(text);
}

Deno.test("patterns that are the same in both languages stay as they are", () => {
  for (
    const pattern of [
      "^192\\.168\\.",
      "eth[0-9]+$",
      "10\\.1\\.(1|2)\\.[0-9]{1,3}",
      "(?:en|wl)p.*",
      "^(?<a>x)\\d\\w\\s",
    ]
  ) assertEquals(translateGoRegex(pattern), pattern);
});

Deno.test("what Go writes otherwise is rewritten with the same meaning", () => {
  const table: [string, string, boolean][] = [
    ["(?i)ETH0", "eth0", true],
    ["(?i)ETH0", "wlan0", false],
    ["\\Aeth\\z", "eth", true],
    ["\\Aeth\\z", "eth0", false],
    ["(?P<n>en)p", "enp3s0", true],
    ["^eth[[:digit:]]+$", "eth12", true],
    ["^eth[[:digit:]]+$", "eth:", false],
    ["^[[:alpha:]_]+$", "a_b", true],
    ["^veth\\-a", "veth-a", true],
    ["^en\\_p", "en_p", true],
    ["^[a\\-c]$", "b", false],
    ["^[a\\-c]$", "-", true],
    ["^[\\]]$", "]", true],
    ["a\\\\", "a\\", true],
  ];
  for (const [pattern, text, expected] of table) {
    assertEquals(matches(pattern, text), expected, `${pattern} on ${text}`);
  }
});

Deno.test("a pattern with another meaning is refused, never misread", () => {
  for (
    const pattern of [
      "(",
      "[",
      "a**",
      "\\",
      "[[:bogus:]]",
      "x(?i)y",
      "\\pL",
      "\\Qx\\E",
      "a{2,1}",
    ]
  ) {
    assertThrows(
      () => translateGoRegex(pattern),
      SyntaxError,
      undefined,
      pattern,
    );
  }
});
