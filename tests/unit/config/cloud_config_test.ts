import { assertEquals, assertRejects } from "@std/assert";
import { cloudConfigKey } from "../../../config/cloud_config.ts";
import { CloudConfigError, SettingsError } from "../../../config/errors.ts";
import { AGENT_FLAGS } from "../../../config/flags.ts";
import { resolveSettings, type Settings } from "../../../config/settings.ts";
import { describeError } from "../../../errors.ts";

function resolve(
  yaml: string | undefined,
  env: Record<string, string> = {},
  environmentFile?: string,
): Promise<Settings> {
  const files: Record<string, string | undefined> = {
    "/c.yaml": yaml,
    "/etc/environment": environmentFile,
  };
  return resolveSettings({
    argv: ["--config=/c.yaml"],
    env,
    readFile: (path) => {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound("No such file"))
        : Promise.resolve(text);
    },
  });
}

function flannel(...lines: string[]): string {
  return ["coreos:", "  flannel:", ...lines.map((line) => `    ${line}`)]
    .join("\n");
}

async function refusal(
  yaml: string | undefined,
  env: Record<string, string> = {},
  environmentFile?: string,
): Promise<string> {
  const error = await assertRejects(
    () => resolve(yaml, env, environmentFile),
    SettingsError,
  );
  return describeError(error);
}

Deno.test("the keys of coreos-cloudinit give the settings of their flags", async () => {
  const settings = await resolve(flannel(
    "etcd_endpoints: https://10.0.0.1:2379,https://10.0.0.2:2379",
    "etcd_cafile: /ca",
    "etcd_certfile: /cert",
    "etcd_keyfile: /key",
    "etcd_prefix: /net",
    "etcd_username: u",
    "etcd_password: 0123",
    "ip_masq: true",
    "subnet_file: /s.env",
    "interface: 10.0.0.7",
    "public_ip: 192.0.2.7",
  ));
  assertEquals(settings.etcdEndpoints, [
    "https://10.0.0.1:2379",
    "https://10.0.0.2:2379",
  ]);
  assertEquals(settings.etcdCaFile, "/ca");
  assertEquals(settings.etcdCertFile, "/cert");
  assertEquals(settings.etcdKeyFile, "/key");
  assertEquals(settings.etcdPrefix, "/net");
  assertEquals(settings.etcdUsername, "u");
  assertEquals(settings.etcdPassword.reveal(), "0123");
  assertEquals(settings.ipMasq, true);
  assertEquals(settings.subnetFile, "/s.env");
  assertEquals(settings.iface, ["10.0.0.7"]);
  assertEquals(settings.publicIp, "192.0.2.7");
});

Deno.test("dashes and underscores are the same in a key", async () => {
  const settings = await resolve(flannel("etcd-prefix: /x", "ip-masq: T"));
  assertEquals([settings.etcdPrefix, settings.ipMasq], ["/x", true]);
});

Deno.test("every other flag has a key too, and a list may be a list", async () => {
  const settings = await resolve(
    flannel(
      "iface: [eth1, $private_ipv4]",
      "iptables_resync: 0x10",
      "v: 1",
      "log_format: json",
    ),
    { COREOS_PRIVATE_IPV4: "10.0.0.9" },
  );
  assertEquals(settings.iface, ["eth1", "10.0.0.9"]);
  assertEquals(settings.iptablesResyncSeconds, 16);
  assertEquals(settings.logFormat, "json");
});

Deno.test("every active flag but help, version, dry-run and config has one key", () => {
  const without = AGENT_FLAGS.filter((flag) => !cloudConfigKey(flag));
  assertEquals(without.map(({ name }) => name), [
    "config",
    "dry-run",
    "help",
    "version",
  ]);
});

Deno.test("the header is optional and other sections are ignored", async () => {
  const text = `#cloud-config

hostname: a
coreos:
  units:
    - name: flanneld.service
      command: start
  flannel:
    interface: $public_ipv4
write_files: {}
`;
  const settings = await resolve(text, { COREOS_PUBLIC_IPV4: "192.0.2.1" });
  assertEquals(settings.iface, ["192.0.2.1"]);
  assertEquals(settings.warnings, []);
});

Deno.test("a file without the section sets nothing and is reported", async () => {
  for (
    const text of ["", "#cloud-config\n", "coreos:\n", "coreos:\n  units: []"]
  ) {
    const { warnings } = await resolve(text);
    assertEquals(warnings.map(({ code }) => code), ["settings.no-section"]);
  }
});

Deno.test("keys with nothing behind them set nothing", async () => {
  const settings = await resolve(flannel("interface:", 'ip_masq: ""'));
  assertEquals([settings.iface, settings.ipMasq], [[], false]);
});

Deno.test("addresses come from the environment, then from /etc/environment, by both names", async () => {
  const yaml = flannel("public_ip: $public_ipv4", "interface: $private_ipv4");
  const file = `# made by the provider
COREOS_PUBLIC_IPV4=192.0.2.1
export private_ipv4="10.0.0.1"
`;
  const fromFile = await resolve(yaml, {}, file);
  assertEquals([fromFile.publicIp, fromFile.iface], ["192.0.2.1", [
    "10.0.0.1",
  ]]);
  const env = { public_ipv4: "192.0.2.2", COREOS_PRIVATE_IPV4: "10.0.0.2" };
  const fromEnv = await resolve(yaml, env, file);
  assertEquals([fromEnv.publicIp, fromEnv.iface], ["192.0.2.2", ["10.0.0.2"]]);
});

Deno.test("a variable inside a text is filled in, and a backslash keeps it", async () => {
  const env = { COREOS_PUBLIC_IPV4: "192.0.2.1" };
  const inside = await resolve(
    flannel("etcd_endpoints: http://$public_ipv4:2379"),
    env,
  );
  assertEquals(inside.etcdEndpoints, ["http://192.0.2.1:2379"]);
  const kept = await resolve(flannel("etcd_prefix: /\\$public_ipv4"), env);
  assertEquals(kept.etcdPrefix, "/$public_ipv4");
  const other = await resolve(flannel("iface_regex: ^10\\.1$"), env);
  assertEquals(other.ifaceRegex, ["^10\\.1$"]);
});

Deno.test("an address that is not known, or is none, is refused with where to put it", async () => {
  assertEquals(
    await refusal(flannel("interface: $public_ipv4")),
    "Cannot read the settings: $public_ipv4 of coreos.flannel.interface in " +
      "/c.yaml must be a known IPv4 address: current value is not set (put " +
      "COREOS_PUBLIC_IPV4=<address of this host> into the environment or " +
      "/etc/environment)",
  );
  assertEquals(
    (await refusal(flannel("interface: $public_ipv4"), {}, "public_ipv4=eth0"))
      .includes('current value is "eth0" (public_ipv4 in /etc/environment)'),
    true,
  );
});

Deno.test("an unknown key is refused with the near one", async () => {
  assertEquals(
    await refusal(flannel("etcd_endpoint: http://a")),
    "Cannot read the settings: /c.yaml has an unknown key " +
      "coreos.flannel.etcd_endpoint (did you mean etcd_endpoints?)",
  );
  for (
    const key of ["config: /x", "help: true", "version: true", "iface__: a"]
  ) {
    await refusal(flannel(key));
  }
});

Deno.test("a key that is there twice, also in two spellings, is refused", async () => {
  assertEquals(
    await refusal(flannel("ip_masq: true", "ip-masq: false")),
    "Cannot read the settings: --ip-masq must be set once: " +
      "coreos.flannel.ip-masq in /c.yaml repeats it in another spelling " +
      "(remove one of the two)",
  );
  assertEquals(
    (await refusal(flannel("ip_masq: true", "ip_masq: false")))
      .includes("duplicated key at line 4"),
    true,
  );
});

Deno.test("a bad value is refused by its key, with one that passes", async () => {
  assertEquals(
    await refusal(flannel("ip-masq: yes")),
    "Cannot use the settings: coreos.flannel.ip-masq in /c.yaml must be true " +
      'or false: current value is "yes" (for example ip_masq: true)',
  );
  assertEquals(
    await refusal(flannel("public_ip: [a, b]")),
    "Cannot use the settings: coreos.flannel.public_ip in /c.yaml must be one " +
      'value: current value is ["a","b"] (see docs/configuration.md for an ' +
      "example)",
  );
  assertEquals(
    await refusal(flannel("public_ip: eth0")),
    "Cannot use the settings: coreos.flannel.public_ip in /c.yaml must be the " +
      'IPv4 address of a host: current value is "eth0" (for example ' +
      "192.168.10.7)",
  );
});

Deno.test("a bad password is not printed", async () => {
  const message = await refusal(flannel("etcd_password: [hunter2]"));
  assertEquals(message.includes("hunter2"), false);
});

Deno.test("a flag of another mode is refused in the file too", async () => {
  const message = await refusal(flannel("kube_subnet_mgr: true"));
  assertEquals(message.includes("must not be set"), true);
});

Deno.test("a file that is not there, no YAML or of another shape is refused", async () => {
  assertEquals(
    await refusal(undefined),
    "Cannot read the settings: the cloud-config file must be readable: " +
      "/c.yaml: No such file (name a file that exists and that this user may read)",
  );
  const message = await refusal("coreos: {");
  assertEquals(
    message.startsWith("Cannot read the settings: /c.yaml must be YAML: "),
    true,
  );
  assertEquals(message.includes("\n"), false);
  for (const text of ["- a", "coreos: [a]", "coreos:\n  flannel: eth0"]) {
    const error = await assertRejects(() => resolve(text), CloudConfigError);
    assertEquals(describeError(error).includes("must be a mapping"), true);
  }
});
