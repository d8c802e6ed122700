import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  dryRun,
  type DryRunWorld,
} from "../../../../commands/agent/dry_run.ts";
import { ConfigMissingError } from "../../../../agent/changes/missing_config.ts";
import { deviceAlias } from "../../../../agent/instance/footprint.ts";
import { resolveSettings } from "../../../../config/settings.ts";
import { NO_DAEMON_CONFIG } from "../../../../host/docker/daemon_config.ts";
import type { FlanneldProcess } from "../../../../host/flanneld_process.ts";
import type { SysctlFinding } from "../../../../host/sysctl_check.ts";
import { encodeState } from "../../../../lease/saved/state_codec.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { formatMac } from "../../../../net/mac.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeCommandRunner } from "../../../fakes/fake_command_runner.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const PREFIX = "/coreos.com/network";
const SUBNET_FILE = "/run/flannel/subnet.env";
const OPTS_FILE = "/run/flannel_docker_opts.env";
const STATE_FILE = "/var/lib/loden/coreos.com-network.json";
const noSignal = new AbortController().signal;

const SUBNET_ENV = `FLANNEL_NETWORK=10.1.0.0/16
FLANNEL_SUBNET=10.1.5.1/24
FLANNEL_MTU=1472
FLANNEL_IPMASQ=false
`;
const OPTS = `DOCKER_OPT_BIP="--bip=10.1.5.1/24"
DOCKER_OPT_IPMASQ="--ip-masq=true"
DOCKER_OPT_MTU="--mtu=1472"
DOCKER_NETWORK_OPTIONS=" --bip=10.1.5.1/24 --ip-masq=true --mtu=1472"
`;

const COMMENT = '-m comment --comment "flanneld forward"';
const RULES = `:FLANNEL-FWD - [0:0]
-A FORWARD ${COMMENT} -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.1.0.0/16 ${COMMENT} -j ACCEPT
-A FLANNEL-FWD -d 10.1.0.0/16 ${COMMENT} -j ACCEPT
`;

/** A host at 192.0.2.11 with iptables, on which nothing has run yet. */
class Host {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly rtnetlink = new FakeRtnetlink();
  readonly files = new Map<string, string>();
  rules = "";
  antiSpoofing = "";
  sysctls: SysctlFinding[] = [];
  flanneld: FlanneldProcess | undefined;
  obstacle: string | undefined;

  constructor() {
    this.etcd.putConfig('{ "Network": "10.1.0.0/16" }');
    const eth0 = this.rtnetlink.addLink({
      name: "eth0",
      up: true,
      carrier: true,
    }).index;
    this.rtnetlink.addAddress(eth0, "192.0.2.11/24");
    this.rtnetlink.addRoute({
      destination: parseCidr("0.0.0.0/0")!,
      gateway: parseIpv4("192.0.2.1")!,
      interfaceIndex: eth0,
    });
  }

  async run(...argv: string[]) {
    const io = new FakeCommandIo();
    const settings = await resolveSettings({
      argv: ["--run-dir=/nonexistent", ...argv],
      env: {},
      readFile: () => Promise.reject(new Error("no file is asked for")),
    });
    const { revision } = this.etcd;
    const code = await dryRun(io, settings, this.#world());
    assertEquals(this.etcd.revision, revision, "etcd is as it was");
    return { code, lines: io.out.trimEnd().split("\n") };
  }

  #world(): DryRunWorld {
    return {
      access: {
        open: () => new FakeRegistry(this.etcd),
        clock: this.clock,
        patienceMs: 20_000,
      },
      rtnetlink: this.rtnetlink,
      runner: new FakeCommandRunner({
        "iptables": () => ({ stdout: "iptables v1.8.11 (nf_tables)" }),
        "iptables-save": () => ({
          stdout: `*filter\n:FORWARD ACCEPT [0:0]\n${this.rules}COMMIT\n` +
            `*mangle\n:FORWARD ACCEPT [0:0]\n${this.antiSpoofing}COMMIT\n`,
        }),
        // To write were to change something.
        "iptables-restore": () => {
          throw new Error("the firewall is changed");
        },
      }),
      readText: (path) => this.files.get(path),
      checkSysctls: () => this.sysctls,
      readDaemonConfig: () => Promise.resolve(NO_DAEMON_CONFIG),
      findFlanneld: () => this.flanneld,
      obstacle: () => this.obstacle,
    };
  }
}

/** As an agent has left it. */
async function servedHost(): Promise<Host> {
  const host = new Host();
  const { rtnetlink, etcd, files } = host;
  await new FakeRegistry(etcd).create(
    parseCidr("10.1.5.0/24")!,
    {
      publicIp: parseIpv4("192.0.2.11")!,
      backendType: "udp",
      hostId: "0".repeat(32),
    },
    86_400,
    noSignal,
  );
  const device = rtnetlink.addLink({
    name: "flannel0",
    alias: deviceAlias(PREFIX),
    kind: "tun",
    up: true,
  }).index;
  rtnetlink.addAddress(device, "10.1.5.0/32");
  rtnetlink.replaceRoute({
    destination: parseCidr("10.1.0.0/16")!,
    type: "unreachable",
    metric: 0xffff_0000,
  });
  host.rules = RULES;
  host.antiSpoofing = `-A FORWARD -m comment --comment ` +
    `"loden anti-spoofing 10.1.0.0/16" -j LODEN-SPOOF-FWD-f78ee519\n`;
  files.set(SUBNET_FILE, SUBNET_ENV);
  files.set(OPTS_FILE, OPTS);
  const [eth0] = rtnetlink.links().filter(({ name }) => name === "eth0");
  files.set(
    STATE_FILE,
    encodeState({
      hostId: "0".repeat(32),
      underlayMac: formatMac(eth0!.mac),
      peers: [],
    }),
  );
  return host;
}

Deno.test("on a new host everything would be made, and nothing is", async () => {
  const { code, lines } = await new Host().run();
  assertEquals(code, 0);
  assertEquals(lines, [
    "note: underlay eth0 192.0.2.11, MTU 1500",
    "would lease a free subnet of 10.1.0.0/16 (0 are held)",
    "would create device flannel%d, MTU 1472 (data path auto)",
    "would add route unreachable 10.1.0.0/16, and the peers'",
    "would change firewall rules: iptables (iptables works): set the rules of the new subnet",
    `would write file ${SUBNET_FILE}`,
    `would write file ${OPTS_FILE}`,
    `would write file ${STATE_FILE}`,
  ]);
});

Deno.test("on a host that an agent has left as it should be nothing would change", async () => {
  const { code, lines } = await (await servedHost()).run();
  assertEquals(code, 0);
  assertEquals(lines, [
    "note: underlay eth0 192.0.2.11, MTU 1500",
    "keeps lease 10.1.5.0/24, this host's",
    "keeps device flannel0 (data path auto)",
    "keeps address 10.1.5.0/32 of flannel0",
    "keeps route unreachable 10.1.0.0/16",
    "keeps firewall rules: iptables (iptables works)",
    "keeps firewall rules: iptables, anti-spoofing",
    `keeps file ${SUBNET_FILE}`,
    `keeps file ${OPTS_FILE}`,
    `keeps file ${STATE_FILE}`,
    "nothing would change",
  ]);
});

Deno.test("each missing or changed item is one line", async () => {
  const host = await servedHost();
  host.rules = "";
  host.antiSpoofing = "";
  host.files.set(SUBNET_FILE, SUBNET_ENV.replace("1472", "1400"));
  const { lines } = await host.run("--ip-masq");
  for (
    const line of [
      "would change firewall rules: iptables (iptables works): filter: write chain " +
      "FLANNEL-FWD, 2 rules (0 not of this network)",
      "would change firewall rules: iptables, anti-spoofing: mangle: write chain " +
      "LODEN-SPOOF-FWD-f78ee519, called from FORWARD",
      `would rewrite file ${SUBNET_FILE}`,
      `would rewrite file ${OPTS_FILE}`,
    ]
  ) {
    assertEquals(lines.includes(line), true, line);
  }
});

Deno.test("an interface with a larger MTU than an IPv4 packet gives the MTU of the start", async () => {
  const host = new Host();
  const big = host.rtnetlink.addLink({
    name: "big",
    mtuBytes: 65_536,
    up: true,
    carrier: true,
  }).index;
  host.rtnetlink.addAddress(big, "198.51.100.1/24");
  const { lines } = await host.run("--iface=big");
  // As `backend/udp/udp_backend.ts` makes it: 65,535 less 28.
  assertEquals(
    lines[2],
    "would create device flannel%d, MTU 65507 (data path auto)",
  );
});

Deno.test("rules of a former network would be removed, also without rules for the new one", async () => {
  const host = await servedHost();
  host.files.set(SUBNET_FILE, SUBNET_ENV.replace("10.1.0.0", "10.2.0.0"));
  host.rules = RULES.replaceAll("10.1.0.0/16", "10.2.0.0/16");
  const [former] = (await host.run("--iptables-forward-rules=false")).lines
    .filter((line) => line.includes("firewall"));
  assertEquals(
    former,
    "would change firewall rules: iptables (iptables works): filter: remove the jump from " +
      "FORWARD to FLANNEL-FWD",
  );
  host.rules = "";
  const { lines } = await host.run("--iptables-forward-rules=false");
  assertEquals(lines.filter((line) => line.includes("firewall")), []);
});

Deno.test("with its device there, what lets the overlay past Docker is planned too", async () => {
  const host = await servedHost();
  host.rules = `${RULES}:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A DOCKER ! -i docker0 -o docker0 -j DROP
`;
  const { lines } = await host.run();
  assertEquals(
    lines.some((line) =>
      line.includes("iptables, past Docker's drops: filter: write chain")
    ),
    true,
    lines.join("\n"),
  );
});

Deno.test("without an id the lease of flannel on this address is taken over", async () => {
  const host = new Host();
  await new FakeRegistry(host.etcd).create(
    parseCidr("10.1.7.0/24")!,
    {
      publicIp: parseIpv4("192.0.2.11")!,
      backendType: "udp",
    },
    86_400,
    noSignal,
  );
  const { lines } = await host.run();
  assertEquals(
    lines[1],
    "would take over the lease 10.1.7.0/24, which has this host's address " +
      "192.0.2.11",
  );
});

Deno.test("a subnet that is remembered and free would be leased again", async () => {
  const host = new Host();
  host.files.set(SUBNET_FILE, SUBNET_ENV);
  const { lines } = await host.run();
  assertEquals(
    lines[1],
    "would lease 10.1.5.0/24 again (known from the subnet file)",
  );
});

Deno.test("what would stop the start is named, and the command ends with 1", async () => {
  const host = new Host();
  host.flanneld = { pid: 77, shared: "the subnet file /run/x" };
  const eth1 = host.rtnetlink.addLink({ name: "eth1", up: true }).index;
  host.rtnetlink.addAddress(eth1, "10.1.9.5/24");
  const { code, lines } = await host.run();
  assertEquals(code, 1);
  assertEquals(lines.filter((line) => line.startsWith("STOPPED")), [
    "STOPPED: process 77 is flanneld and uses the subnet file /run/x",
    "STOPPED: the network overlaps 10.1.9.0/24 dev eth1: " +
    "ip route del 10.1.9.0/24 dev eth1",
  ]);
});

Deno.test("a config with commands would stop the start, unless they are allowed", async () => {
  const host = new Host();
  host.etcd.putConfig(
    '{ "Network": "10.1.0.0/16", "Backend": { "Type": "extension" } }',
  );
  const { code, lines } = await host.run();
  assertEquals(code, 1);
  assertStringIncludes(
    lines.find((line) => line.startsWith("STOPPED"))!,
    "--allow-extension-commands must be set",
  );
  const allowed = await host.run("--allow-extension-commands");
  assertEquals(allowed.code, 0);
});

Deno.test("kernel settings are named, and would be set where that is asked for", async () => {
  const host = new Host();
  host.sysctls = [{
    name: "net.ipv4.ip_forward",
    path: "net/ipv4/ip_forward",
    value: "0",
    wanted: "1",
    severity: "warning",
    text: "nothing is forwarded",
    fix: "sysctl -w net.ipv4.ip_forward=1",
    isOurs: true,
  }];
  const named = (await host.run()).lines;
  assertStringIncludes(named.join("\n"), "note: net.ipv4.ip_forward: nothing");
  const set = (await host.run("--set-sysctls")).lines;
  assertEquals(set.includes("would set net.ipv4.ip_forward to 1"), true);
});

Deno.test("without a network config the commands that publish one are named", async () => {
  const host = new Host();
  host.etcd.wipe();
  await assertRejects(() => host.run(), ConfigMissingError);
});

Deno.test("a backend's own device and key are planned, and what the kernel lacks is named", async () => {
  const host = new Host();
  host.etcd.putConfig(
    '{ "Network": "10.1.0.0/16", "Backend": { "Type": "wireguard" } }',
  );
  host.obstacle = "the kernel has no WireGuard";
  const { code, lines } = await host.run();
  assertEquals(code, 1);
  for (
    const line of [
      "STOPPED: the kernel has no WireGuard",
      "would create device flannel-wg, MTU 1420 (wireguard)",
      "would write file /var/lib/loden/coreos.com-network.key",
    ]
  ) assertEquals(lines.includes(line), true, lines.join("\n"));
});
