import { assertEquals } from "@std/assert";
import {
  NO_DAEMON_CONFIG,
  parseDaemonConfig,
  readDaemonConfig,
} from "../../../../host/docker/daemon_config.ts";
import { overlayOptions } from "../../../../host/docker/daemon_options.ts";

Deno.test("a Docker that uses iptables gets no further option", () => {
  assertEquals(overlayOptions(NO_DAEMON_CONFIG), {});
  const other = parseDaemonConfig('{ "firewall-backend": "iptables" }');
  assertEquals(overlayOptions(other), {});
});

Deno.test("a Docker that uses nftables gets the options that let the overlay in", () => {
  const config = parseDaemonConfig('{ "firewall-backend": "nftables" }');
  assertEquals(overlayOptions(config), {
    DOCKER_OPT_ALLOW_DIRECT_ROUTING: "--allow-direct-routing",
    DOCKER_OPT_BRIDGE_ACCEPT_FWMARK:
      "--bridge-accept-fwmark=0x01000000/0x01000000",
  });
});

Deno.test("what daemon.json says is not said a second time, which Docker refuses", () => {
  const config = parseDaemonConfig(
    '{ "firewall-backend": "nftables", "allow-direct-routing": true }',
  );
  assertEquals(Object.keys(overlayOptions(config)), [
    "DOCKER_OPT_BRIDGE_ACCEPT_FWMARK",
  ]);
});

Deno.test("a daemon.json that is missing, corrupt or not an object counts as empty", async () => {
  for (const text of ["", "{", "[]", "null", "7"]) {
    assertEquals(parseDaemonConfig(text).usesNftables, false, text);
  }
  const missing = () => Deno.readTextFile("/nonexistent/daemon.json");
  assertEquals(await readDaemonConfig("", missing), NO_DAEMON_CONFIG);
});
