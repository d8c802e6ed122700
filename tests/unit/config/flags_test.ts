import { assert, assertEquals } from "@std/assert";
import { environmentName, type FlagSpec } from "../../../config/flag_spec.ts";
import { parseFlagValue } from "../../../config/flag_value.ts";
import { AGENT_FLAGS } from "../../../config/flags.ts";

const flags: readonly FlagSpec[] = AGENT_FLAGS;

/** Name, type and default of every flag in flannel's documents (compat 1.3). */
const FLANNEL: Record<string, [FlagSpec["type"], FlagSpec["default"]]> = {
  "etcd-endpoints": [
    "string",
    "http://127.0.0.1:4001,http://127.0.0.1:2379",
  ],
  "etcd-prefix": ["string", "/coreos.com/network"],
  "etcd-keyfile": ["string", ""],
  "etcd-certfile": ["string", ""],
  "etcd-cafile": ["string", ""],
  "etcd-username": ["string", ""],
  "etcd-password": ["string", ""],
  "iface": ["list", []],
  "iface-regex": ["list", []],
  "iface-can-reach": ["string", ""],
  "public-ip": ["string", ""],
  "public-ipv6": ["string", ""],
  "subnet-file": ["string", "/run/flannel/subnet.env"],
  "subnet-dir": ["string", "/run/flannel/networks"],
  "subnet-lease-renew-margin": ["int", 60],
  "ip-masq": ["bool", false],
  "ip-masq-fully-random-disable": ["bool", false],
  "iptables-resync": ["int", 5],
  "iptables-forward-rules": ["bool", true],
  "ip-blackhole-route": ["bool", false],
  "healthz-ip": ["string", "0.0.0.0"],
  "healthz-port": ["int", 0],
  "kube-subnet-mgr": ["bool", false],
  "kube-api-url": ["string", ""],
  "kube-annotation-prefix": ["string", "flannel.alpha.coreos.com"],
  "kubeconfig-file": ["string", ""],
  "net-config-path": ["string", "/etc/kube-flannel/net-conf.json"],
  "set-node-network-unavailable": ["bool", true],
  "version": ["bool", false],
  "help": ["bool", false],
  "listen": ["string", ""],
  "remote": ["string", ""],
  "remote-keyfile": ["string", ""],
  "remote-certfile": ["string", ""],
  "remote-cafile": ["string", ""],
  "networks": ["string", ""],
  "v": ["int", 0],
  "vmodule": ["string", ""],
  "log_backtrace_at": ["string", ""],
  "logtostderr": ["bool", true],
  "alsologtostderr": ["bool", false],
  "stderrthreshold": ["string", ""],
  "log_dir": ["string", ""],
};

/** docs/configuration.md says so of each. */
const OTHER_DEFAULTS: Record<string, unknown> = { "iptables-resync": 30 };

Deno.test("every flag of flannel HEAD and of v0.5.5 is in the table, with its type and its default or a documented one", () => {
  for (const [name, [type, fallback]] of Object.entries(FLANNEL)) {
    const flag = flags.find((flag) => flag.name === name);
    assertEquals(
      [flag?.type, flag?.default],
      [type, OTHER_DEFAULTS[name] ?? fallback],
      name,
    );
    assert(flag?.origin !== "loden", name);
  }
});

Deno.test("every other flag in the table is marked as Loden's own", () => {
  for (const flag of flags) {
    if (!(flag.name in FLANNEL)) assertEquals(flag.origin, "loden", flag.name);
  }
});

Deno.test("names and environment names are unique", () => {
  assertEquals(new Set(flags.map(({ name }) => name)).size, flags.length);
  assertEquals(new Set(flags.map(environmentName)).size, flags.length);
});

Deno.test("an environment name is FLANNELD_ and the name in capitals with underscores", () => {
  const names = Object.fromEntries(
    flags.map((flag) => [flag.name, environmentName(flag)]),
  );
  assertEquals(names["etcd-endpoints"], "FLANNELD_ETCD_ENDPOINTS");
  assertEquals(names["ip-masq"], "FLANNELD_IP_MASQ");
  assertEquals(names["v"], "FLANNELD_V");
  assertEquals(names["log_dir"], "FLANNELD_LOG_DIR");
});

Deno.test("every default passes its own flag's rules", () => {
  for (const flag of flags) {
    if (flag.type === "list") continue;
    assertEquals(
      parseFlagValue(flag, String(flag.default)),
      { value: flag.default },
      flag.name,
    );
  }
});

Deno.test("help lines are one line without a full stop", () => {
  for (const { name, help } of flags) {
    assert(!help.includes("\n") && !help.endsWith("."), name);
  }
});
