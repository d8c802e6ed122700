import { assertEquals } from "@std/assert";
import { engineOptions } from "../../../../host/docker/engine_options.ts";

function read(words: readonly string[], config = ""): Record<string, string> {
  return Object.fromEntries(
    engineOptions(["/usr/bin/dockerd", ...words], config),
  );
}

Deno.test("options of the command line: with =, as two words, and without a value", () => {
  assertEquals(
    read(["-H", "fd://", "--bip=10.1.5.1/24", "--mtu", "1472", "--iptables"]),
    { "bip": "10.1.5.1/24", "mtu": "1472", "iptables": "true" },
  );
  assertEquals(read(["--bip=a", "--bip=b"]), { bip: "b" });
});

Deno.test("keys of daemon.json are options, too", () => {
  assertEquals(
    read([], '{"live-restore":true,"mtu":1472,"hosts":["fd://"]}'),
    { "live-restore": "true", "mtu": "1472" },
  );
  for (const text of ["", "{", "null", '"text"', "[]"]) {
    assertEquals(read([], text), {}, text);
  }
});
