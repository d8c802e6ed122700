import { assertEquals, assertRejects } from "@std/assert";
import { SettingsError } from "../../../config/errors.ts";
import { AGENT_FLAGS } from "../../../config/flags.ts";
import { parseGoFlags } from "../../../config/go_flags.ts";
import {
  requestOf,
  resolveSettings,
  type Settings,
} from "../../../config/settings.ts";
import { describeError } from "../../../errors.ts";

interface Sources {
  argv?: string[];
  env?: Record<string, string>;
  files?: Record<string, string>;
  features?: string[];
}

function resolve(
  { argv = [], env = {}, files = {}, features }: Sources,
): Promise<Settings> {
  return resolveSettings({
    argv,
    env,
    readFile: (path) => {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound(`no ${path}`))
        : Promise.resolve(text);
    },
    ...(features === undefined ? {} : { features }),
  });
}

async function refusal(sources: Sources): Promise<string> {
  return describeError(
    await assertRejects(() => resolve(sources), SettingsError),
  );
}

function sourceOf(settings: Settings, name: string): string {
  const { provenance } = settings.entries.find(({ flag }) =>
    flag.name === name
  )!;
  return `${provenance.source} ${provenance.detail}`.trim();
}

const FILE = {
  "/etc/loden.yaml": "coreos:\n  flannel:\n    etcd_prefix: /f\n",
};

Deno.test("without any source every setting has its default", async () => {
  const { entries: _, etcdPassword, ...settings } = await resolve({});
  assertEquals(etcdPassword.isSet, false);
  assertEquals(settings, {
    etcdEndpoints: ["http://127.0.0.1:4001", "http://127.0.0.1:2379"],
    etcdPrefix: "/coreos.com/network",
    etcdCaFile: "",
    etcdCertFile: "",
    etcdKeyFile: "",
    etcdUsername: "",
    etcdPasswordFile: "",
    iface: [],
    ifaceRegex: [],
    ifaceCanReach: "",
    publicIp: "",
    deviceName: "flannel%d",
    dataPath: "auto",
    ebpfReceive: "auto",
    sourcePort: "auto",
    senderCheck: "strict",
    senderInterfaceCheck: true,
    peerGraceMinutes: 10,
    trustSavedPeersMinutes: 1_440,
    trustKnownPeersMinutes: 0,
    disabledFeatures: [],
    vxlanTxChecksum: "auto",
    allowExtensionCommands: false,
    subnetLeaseRenewMarginMinutes: 60,
    subnetLeaseTtlSeconds: 86_400,
    onSubnetChange: { kind: "continue" },
    takeOver: false,
    takeOverDevices: false,
    ipMasq: false,
    ipMasqFullyRandom: true,
    iptablesForwardRules: true,
    antiSpoofing: true,
    setSysctls: false,
    iptablesResyncSeconds: 30,
    ipBlackholeRoute: false,
    subnetFile: "/run/flannel/subnet.env",
    dockerOptsFile: "/run/flannel_docker_opts.env",
    stateDir: "/var/lib/loden",
    runDir: "/run/loden",
    healthzIp: "0.0.0.0",
    healthzPort: undefined,
    metricsIp: "127.0.0.1",
    metricsPort: undefined,
    metricsPeers: false,
    probePort: 8_286,
    logFormat: "auto",
    verbosity: 0,
    warnings: [],
  });
});

Deno.test("command line beats environment beats file beats default, and each is named", async () => {
  const files = FILE;
  const argv = ["--config=/etc/loden.yaml"];
  const env = { FLANNELD_ETCD_PREFIX: "/e" };
  const name = "etcd-prefix";

  const all = await resolve({ argv: [...argv, "-etcd-prefix=/c"], env, files });
  assertEquals(all.etcdPrefix, "/c");
  assertEquals(sourceOf(all, name), "flag -etcd-prefix");

  const noFlag = await resolve({ argv, env, files });
  assertEquals(noFlag.etcdPrefix, "/e");
  assertEquals(sourceOf(noFlag, name), "env FLANNELD_ETCD_PREFIX");

  const fileOnly = await resolve({ argv, files });
  assertEquals(fileOnly.etcdPrefix, "/f");
  assertEquals(
    sourceOf(fileOnly, name),
    "file coreos.flannel.etcd_prefix in /etc/loden.yaml",
  );

  const none = await resolve({});
  assertEquals(sourceOf(none, name), "default");
});

Deno.test("the file itself may be named by the environment", async () => {
  const env = { FLANNELD_CONFIG: "/etc/loden.yaml" };
  assertEquals((await resolve({ env, files: FILE })).etcdPrefix, "/f");
});

Deno.test("an empty variable counts as not set", async () => {
  const env = { FLANNELD_IP_MASQ: "", FLANNELD_ETCD_PREFIX: "" };
  const settings = await resolve({ env });
  assertEquals(settings.ipMasq, false);
  assertEquals(sourceOf(settings, "etcd-prefix"), "default");
});

Deno.test("a repeatable flag from the environment is one element, commas and all", async () => {
  const settings = await resolve({ env: { FLANNELD_IFACE: "eth0,eth1" } });
  assertEquals(settings.iface, ["eth0,eth1"]);
});

Deno.test("a repeatable flag is taken whole from one source", async () => {
  const settings = await resolve({
    argv: ["--iface=eth1", "--iface=eth2"],
    env: { FLANNELD_IFACE: "eth0" },
  });
  assertEquals(settings.iface, ["eth1", "eth2"]);
});

Deno.test("an empty interface means the default route, as in v0.5.5", async () => {
  const argv = ["--iface=", "--iface-regex="];
  const settings = await resolve({ argv });
  assertEquals([settings.iface, settings.ifaceRegex], [[], []]);
});

Deno.test("FLANNELD_VERSION and FLANNELD_HELP do nothing", async () => {
  const env = { FLANNELD_VERSION: "true", FLANNELD_HELP: "maybe" };
  assertEquals((await resolve({ env })).warnings, []);
});

Deno.test("a bad value in the environment is refused by its name, also a boolean one", async () => {
  assertEquals(
    await refusal({ env: { FLANNELD_IP_MASQ: "yes" } }),
    "Cannot use the settings: FLANNELD_IP_MASQ in the environment must be " +
      'true or false: current value is "yes" (for example ' +
      "FLANNELD_IP_MASQ=true)",
  );
});

Deno.test("a bad value in the environment is ignored if the flag is given", async () => {
  const env = { FLANNELD_IP_MASQ: "yes" };
  assertEquals((await resolve({ argv: ["--ip-masq"], env })).ipMasq, true);
});

Deno.test("the renew margin must be between 1 and 1439 minutes", async () => {
  for (const value of ["0", "1440", "-1"]) {
    assertEquals(
      (await refusal({
        env: { FLANNELD_SUBNET_LEASE_RENEW_MARGIN: value },
      })).includes("a whole number of minutes from 1 to 1439"),
      true,
    );
  }
});

Deno.test("addresses must be those of a host", async () => {
  for (const name of ["public-ip", "iface-can-reach"]) {
    for (
      const value of ["x", "1.2.3", "::1", "0.0.0.0", "224.0.0.1", "10.0.0.01"]
    ) {
      assertEquals(
        await refusal({ argv: [`--${name}=${value}`] }),
        `Cannot use the settings: --${name} on the command line must be the ` +
          `IPv4 address of a host: current value is "${value}" (for example ` +
          "192.168.10.7)",
      );
    }
  }
});

Deno.test("the health server's address is an address and 0 or less is no server", async () => {
  const argv = ["--healthz-ip=::1", "--healthz-port=8471"];
  assertEquals((await resolve({ argv })).healthzPort, 8471);
  assertEquals(
    (await resolve({ argv: ["--healthz-port=-1"] })).healthzPort,
    undefined,
  );
  for (const value of ["localhost", "1.2.3.4.5", "a::b::c"]) {
    for (const flag of ["healthz-ip", "metrics-ip"]) {
      const argv = [`--${flag}=${value}`];
      assertEquals((await refusal({ argv })).includes("an IP address"), true);
    }
  }
});

Deno.test("a pattern is checked when it is given", async () => {
  const argv = ["--iface-regex=^eth", "--iface-regex=(10"];
  assertEquals(
    await refusal({ argv }),
    "Cannot use the settings: --iface-regex on the command line must be a " +
      'regular expression (Unterminated group): current value is "(10" (for ' +
      "example ^192\\.168\\. or ^eth[0-9]+$)",
  );
  assertEquals(
    (await resolve({ argv: ["--iface-regex=(?i)ETH"] })).ifaceRegex,
    [
      "(?i:ETH)",
    ],
  );
});

Deno.test("certificate and key, and user and password, come in pairs", async () => {
  assertEquals(
    await refusal({ argv: ["--etcd-certfile=/c"] }),
    "Cannot use the settings: --etcd-keyfile must be set as well: " +
      "--etcd-certfile on the command line is useless without it (set both " +
      "--etcd-certfile and --etcd-keyfile, or neither)",
  );
  assertEquals(
    await refusal({ env: { FLANNELD_ETCD_PASSWORD: "hunter2" } }),
    "Cannot use the settings: --etcd-username must be set as well: " +
      "FLANNELD_ETCD_PASSWORD in the environment is useless without it (set " +
      "both --etcd-username and --etcd-password, or neither)",
  );
  const argv = ["--etcd-cafile=/ca", "--etcd-endpoints=https://a"];
  assertEquals((await resolve({ argv })).etcdCaFile, "/ca");
});

Deno.test("a renewal margin that is set is shorter than the lease's TTL", async () => {
  const ttl = "--subnet-lease-ttl=120";
  assertEquals(
    await refusal({ argv: [ttl, "--subnet-lease-renew-margin=2"] }),
    "Cannot use the settings: --subnet-lease-renew-margin on the command line " +
      "must be shorter than --subnet-lease-ttl on the command line: current " +
      "values are 120 and 120 seconds (use a longer --subnet-lease-ttl, or " +
      "remove the margin: the default is then half of the TTL)",
  );
  const fits = await resolve({ argv: [ttl, "--subnet-lease-renew-margin=1"] });
  assertEquals(fits.subnetLeaseTtlSeconds, 120);
  assertEquals((await resolve({ argv: [ttl] })).subnetLeaseTtlSeconds, 120);
});

Deno.test("what follows another subnet is continue, exit or a command", async () => {
  const action = async (text: string) =>
    (await resolve({ argv: [`--on-subnet-change=${text}`] })).onSubnetChange;
  assertEquals(await action("exit"), { kind: "exit" });
  assertEquals(await action("run: systemctl try-restart docker"), {
    kind: "run",
    command: "systemctl try-restart docker",
  });
  for (const text of ["", "run:", "run: ", "restart", "Exit"]) {
    const argv = [`--on-subnet-change=${text}`];
    assertEquals((await refusal({ argv })).includes("must be"), true, text);
  }
});

Deno.test("the password comes from one place, and the user with it", async () => {
  const user = "--etcd-username=u";
  const file = "--etcd-password-file=/run/secret";
  const settings = await resolve({ argv: [user, file] });
  assertEquals(settings.etcdPasswordFile, "/run/secret");
  assertEquals(settings.etcdPassword.isSet, false);
  assertEquals(
    await refusal({
      argv: [user, file],
      env: { FLANNELD_ETCD_PASSWORD: "hunter2" },
    }),
    "Cannot use the settings: the etcd password must come from one place: it " +
      "is in FLANNELD_ETCD_PASSWORD in the environment and in " +
      "--etcd-password-file on the command line (set either " +
      "--etcd-password-file or --etcd-password)",
  );
  assertEquals(
    await refusal({ argv: [file] }),
    "Cannot use the settings: --etcd-username must be set as well: " +
      "--etcd-password-file on the command line is useless without it (set " +
      "both --etcd-username and --etcd-password-file, or neither)",
  );
});

Deno.test("a password on the command line is warned of, one in the environment is not", async () => {
  const env = { FLANNELD_ETCD_USERNAME: "u" };
  const codes = async (input: Parameters<typeof resolve>[0]) =>
    (await resolve(input)).warnings.map(({ code }) => code);
  assertEquals(
    await codes({ argv: ["--etcd-password=hunter2"], env }),
    ["settings.password-visible"],
  );
  assertEquals(
    await codes({ env: { ...env, FLANNELD_ETCD_PASSWORD: "hunter2" } }),
    [],
  );
});

Deno.test("the password is returned on request and never shown", async () => {
  const env = {
    FLANNELD_ETCD_USERNAME: "u",
    FLANNELD_ETCD_PASSWORD: "hunter2",
  };
  const settings = await resolve({ env });
  assertEquals(settings.etcdPassword.reveal(), "hunter2");
  assertEquals(JSON.stringify(settings).includes("hunter2"), false);
  assertEquals(Deno.inspect(settings, { depth: 9 }).includes("hunter2"), false);
  assertEquals(`${settings.etcdPassword}`, "hidden");
});

Deno.test("endpoints are read with and without scheme and port", async () => {
  const table: [string, string[]][] = [
    ["http://10.0.0.1:2379", ["http://10.0.0.1:2379"]],
    ["https://etcd.example:4001/", ["https://etcd.example:4001"]],
    ["HTTPS://a", ["https://a:2379"]],
    ["10.0.0.1:4001,b", ["http://10.0.0.1:4001", "http://b:2379"]],
    [" a:1 , , b:2,", ["http://a:1", "http://b:2"]],
    ["http://[fd00::1]:2379", ["http://[fd00::1]:2379"]],
    ["http://a:80", ["http://a:80"]],
  ];
  for (const [text, endpoints] of table) {
    const argv = [`--etcd-endpoints=${text}`];
    assertEquals((await resolve({ argv })).etcdEndpoints, endpoints, text);
  }
});

Deno.test("endpoints that are no URL of host and port are refused", async () => {
  for (
    const text of [
      "http://",
      "http://a:0",
      "http://a:65536",
      "http://a:b",
      "http://a/v2/keys",
      "http://a b",
      "http://300.1.1.1:2379",
      "ftp://a:21",
      "unix:///run/etcd.sock",
      "http://fd00::1:2379",
      ",",
    ]
  ) {
    assertEquals(
      (await refusal({ argv: [`--etcd-endpoints=${text}`] })).startsWith(
        "Cannot use the settings: --etcd-endpoints on the command line must " +
          "be a comma list of http:// or https:// URLs of host and port: " +
          "current value is ",
      ),
      true,
      text,
    );
  }
  assertEquals(
    (await refusal({ argv: ["--etcd-endpoints=etcd://b:2379"] })).endsWith(
      "(for example http://b:2379)",
    ),
    true,
  );
});

Deno.test("a password inside an endpoint is refused and not printed", async () => {
  const argv = ["--etcd-endpoints=http://u:hunter2@a:2379"];
  const message = await refusal({ argv });
  assertEquals(message.includes("hunter2"), false);
  assertEquals(message.includes("--etcd-username"), true);
});

Deno.test("the prefix is cleaned as flannel cleans it", async () => {
  for (
    const [text, prefix] of [
      ["/coreos.com/network/", "/coreos.com/network"],
      ["//a//b/", "/a/b"],
      ["a/b", "a/b"],
      ["/a/./b/../c", "/a/c"],
      ["/", ""],
    ]
  ) {
    const argv = [`--etcd-prefix=${text}`];
    assertEquals((await resolve({ argv })).etcdPrefix, prefix, text);
  }
});

Deno.test("settings that must not be empty are refused when they are", async () => {
  for (
    const name of [
      "etcd-prefix",
      "etcd-endpoints",
      "subnet-file",
      "device",
      "state-dir",
      "run-dir",
      "healthz-ip",
      "metrics-ip",
    ]
  ) {
    const message = await refusal({ argv: [`--${name}=`] });
    assertEquals(
      message.startsWith(
        `Cannot use the settings: --${name} on the command line must be set: ` +
          'current value is "" (for example ',
      ),
      true,
      message,
    );
  }
  await refusal({ argv: ["--etcd-prefix=."] });
});

Deno.test("a device name is one that the kernel takes", async () => {
  for (const name of ["flannel%d", "lo0", "a%dx", "abcdefghijklmno"]) {
    const settings = await resolve({ argv: [`--device=${name}`] });
    assertEquals(settings.deviceName, name);
  }
  for (
    const name of [
      "a b",
      "a/b",
      "a:b",
      ".",
      "..",
      "%d%d",
      "%s",
      "abcdefghijklmnop",
      "ü",
    ]
  ) await refusal({ argv: [`--device=${name}`] });
});

Deno.test("a file is named by a path that can be one", async () => {
  for (const name of ["subnet-file", "docker-opts-file", "etcd-cafile"]) {
    const message = await refusal({ argv: [`--${name}=/run/x/`] });
    assertEquals(message.includes("the path of a file"), true);
  }
});

Deno.test("Docker's options are not written to nowhere", async () => {
  for (const text of ["", "/dev/null"]) {
    const argv = [`--docker-opts-file=${text}`];
    assertEquals((await resolve({ argv })).dockerOptsFile, undefined);
  }
});

Deno.test("features are separated by commas or repeated, and checked where the words are known", async () => {
  const argv = ["--disable-feature=a, b", "--disable-feature=c"];
  assertEquals((await resolve({ argv })).disabledFeatures, ["a", "b", "c"]);
  const features = ["udp-gro", "udp-segment"];
  assertEquals(
    await refusal({ argv: ["--disable-feature=udp-gso"], features }),
    "Cannot use the settings: --disable-feature on the command line must be " +
      'one of udp-gro, udp-segment: current value is "udp-gso" (did you mean ' +
      "udp-gro?)",
  );
});

Deno.test("flags of modes that Loden does not have are refused from every source", async () => {
  for (
    const name of [
      "kube-subnet-mgr",
      "kube-api-url=https://k",
      "kube-annotation-prefix=x",
      "kubeconfig-file=/k",
      "net-config-path=/n",
      "set-node-network-unavailable=false",
      "listen=:8888",
      "remote=10.0.0.1:8888",
      "remote-keyfile=/k",
      "remote-certfile=/c",
      "remote-cafile=/c",
      "networks=blue,green",
      "subnet-dir=/d",
    ]
  ) {
    const spelling = `--${name.split("=")[0]}`;
    const message = await refusal({ argv: [`--${name}`] });
    assertEquals(
      message.startsWith(
        `Cannot use the settings: ${spelling} on the command line must ` +
          "not be set: ",
      ),
      true,
      message,
    );
    assertEquals(message.includes("\n"), false);
  }
  assertEquals(
    (await refusal({ env: { FLANNELD_KUBE_SUBNET_MGR: "true" } })).startsWith(
      "Cannot use the settings: FLANNELD_KUBE_SUBNET_MGR in the environment " +
        "must not be set: ",
    ),
    true,
  );
});

Deno.test("such a flag with its default asks for nothing and passes", async () => {
  const argv = ["--kube-subnet-mgr=false", "--networks=", "--remote="];
  assertEquals((await resolve({ argv })).warnings, []);
});

Deno.test("flags that have no effect are accepted with a warning that says why", async () => {
  const { warnings } = await resolve({
    argv: ["--alsologtostderr", "--vmodule=a=1", "--logtostderr"],
    env: { FLANNELD_PUBLIC_IPV6: "fd00::1" },
  });
  assertEquals(warnings, [
    {
      code: "settings.ignored",
      text: "FLANNELD_PUBLIC_IPV6 in the environment has no effect: this " +
        "release carries IPv4 only",
    },
    {
      code: "settings.ignored",
      text: "--vmodule on the command line has no effect: Loden logs to " +
        "stderr; see --log-format and -v",
    },
    {
      code: "settings.ignored",
      text: "--alsologtostderr on the command line has no effect: Loden logs " +
        "to stderr; see --log-format and -v",
    },
  ]);
});

Deno.test("a variable that is no setting is reported with the near one", async () => {
  const env = {
    FLANNELD_IFACES: "eth0",
    FLANNELD_OPTS_OF_MINE: "",
    FLANNEL_X: "",
  };
  assertEquals((await resolve({ env })).warnings.map(({ text }) => text), [
    "FLANNELD_IFACES in the environment is not a setting and has no effect: did " +
    "you mean FLANNELD_IFACE?",
    "FLANNELD_OPTS_OF_MINE in the environment is not a setting and has no effect",
  ]);
});

Deno.test("TLS files with plain http URLs are reported", async () => {
  const { warnings } = await resolve({ argv: ["--etcd-cafile=/ca"] });
  assertEquals(warnings, [{
    code: "settings.tls-unused",
    text: "--etcd-cafile on the command line has no effect: no URL in the " +
      "default of --etcd-endpoints is https",
  }]);
});

Deno.test("a command line asks for help, for the version or to run", () => {
  const ask = (...argv: string[]) =>
    requestOf(parseGoFlags(AGENT_FLAGS, argv, { words: "refuse" }));
  assertEquals(ask(), "run");
  assertEquals(ask("-h"), "help");
  assertEquals(ask("--help", "--version"), "help");
  assertEquals(ask("--version"), "version");
  assertEquals(ask("--version=false", "--help=false"), "run");
});

Deno.test("a subcommand passes on the command line that it has parsed itself", async () => {
  const line = parseGoFlags(AGENT_FLAGS, ["{}", "--etcd-prefix=/x"], {
    words: "collect",
  });
  const settings = await resolveSettings({
    argv: line,
    env: {},
    readFile: () => Promise.reject(new Error("not read")),
  });
  assertEquals(settings.etcdPrefix, "/x");
});
