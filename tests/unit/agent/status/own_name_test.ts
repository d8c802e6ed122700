import { assertEquals } from "@std/assert";
import { isOwnName } from "../../../../agent/status/own_name.ts";

Deno.test("addresses, localhost and this host's name are its own, with any port", () => {
  for (
    const host of [
      "127.0.0.1",
      "192.0.2.1:9285",
      "[::1]:9285",
      "[2001:db8::1]",
      "localhost",
      "LOCALHOST:80",
      "node1.example.com",
      "Node1.example.com.:9285",
      "node1",
    ]
  ) {
    assertEquals(isOwnName(host, "node1.example.com"), true, host);
  }
});

Deno.test("every other name may be an attacker's", () => {
  for (
    const host of [
      undefined,
      "",
      "evil.example",
      "node1.evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "127.0.0.1, evil.example",
      "evil.example@127.0.0.1",
      "[::1",
      "[:::]",
      "0x7f000001",
      "127.1",
      "localhost:80:80",
    ]
  ) {
    assertEquals(isOwnName(host, "node1.example.com"), false, host);
  }
});
