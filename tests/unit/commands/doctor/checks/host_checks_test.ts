import { assertEquals, assertStringIncludes } from "@std/assert";
import { agentCheck } from "../../../../../commands/doctor/checks/agent.ts";
import { clockCheck } from "../../../../../commands/doctor/checks/clock.ts";
import { firewallCheck } from "../../../../../commands/doctor/checks/firewall.ts";
import { kernelFeaturesCheck } from "../../../../../commands/doctor/checks/kernel_features.ts";
import { rightsCheck } from "../../../../../commands/doctor/checks/rights.ts";
import { sysctlsCheck } from "../../../../../commands/doctor/checks/sysctls.ts";
import { underlayCheck } from "../../../../../commands/doctor/checks/underlay.ts";
import {
  FakeDoctorHost,
  HOST_ID,
  leaseOf,
  worse,
} from "../../../../fakes/fake_doctor_host.ts";
import { TrialFailedError } from "../../../../../backend/run_feature_trials.ts";
import { VERSION } from "../../../../../version.ts";

const SYSCTL = "/proc/sys/net/ipv4";

Deno.test("an ordinary user is told what is not looked at", async () => {
  const host = new FakeDoctorHost();
  assertEquals(await host.find(rightsCheck), []);
  host.isRoot = false;
  assertEquals(worse(await host.find(rightsCheck)), [
    "note doctor.rights: sudo loden doctor",
  ]);
});

Deno.test("settings: forwarding that is off is a problem, strict sources a note, with the commands that change them", async () => {
  const host = new FakeDoctorHost();
  assertEquals(worse(await host.find(sysctlsCheck)), []);
  host.files.set(`${SYSCTL}/ip_forward`, "0\n");
  host.files.set(`${SYSCTL}/conf/eth0/rp_filter`, "1\n");
  host.files.set("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
  host.files.set("/proc/sys/kernel/unprivileged_bpf_disabled", "0\n");
  assertEquals(worse(await host.find(sysctlsCheck)), [
    "problem sysctl.forwarding: sysctl -w net.ipv4.ip_forward=1",
    "note sysctl.rp-filter: sysctl -w net.ipv4.conf.eth0.rp_filter=2",
    "note sysctl.bridge-nf: sysctl -w net.bridge.bridge-nf-call-iptables=0",
    "note sysctl.unprivileged-bpf: sysctl -w " +
    "kernel.unprivileged_bpf_disabled=1",
  ]);
});

Deno.test("settings: of the overlay's pair, only the end with the address counts", async () => {
  const host = new FakeDoctorHost();
  const alias = "loden:/coreos.com/network";
  const { index } = host.rtnetlink.addLink({ name: "flannel0", alias });
  host.rtnetlink.addLink({ name: "flannel0p", alias });
  host.rtnetlink.addAddress(index, "10.1.5.0/32");
  for (const name of ["flannel0", "flannel0p"]) {
    host.files.set(`${SYSCTL}/conf/${name}/rp_filter`, "1\n");
  }
  assertEquals(worse(await host.find(sysctlsCheck)), [
    "note sysctl.rp-filter: sysctl -w net.ipv4.conf.flannel0.rp_filter=2",
  ]);
});

Deno.test("settings that the agent sets are no problem", async () => {
  const host = new FakeDoctorHost();
  host.argv = ["--set-sysctls"];
  host.files.set(`${SYSCTL}/ip_forward`, "0\n");
  assertEquals(worse(await host.find(sysctlsCheck)), [
    "note sysctl.forwarding",
  ]);
});

Deno.test("settings: a neighbour table that is too small for the hosts of a kernel backend", async () => {
  const host = new FakeDoctorHost();
  host.files.set(`${SYSCTL}/neigh/default/gc_thresh3`, "4\n");
  const leases = [6, 7, 8, 9].map((n) =>
    leaseOf(`10.1.${n}.0/24`, `192.0.2.${n}`)
  );
  host.known = { ...host.known, leases };
  assertEquals(worse(await host.find(sysctlsCheck)), []);
  host.publish({ Backend: { Type: "vxlan" } });
  assertEquals(worse(await host.find(sysctlsCheck)), [
    "warning sysctl.neighbours: sysctl -w " +
    "net.ipv4.neigh.default.gc_thresh3=8",
  ]);
});

Deno.test("a kernel without WireGuard is a problem only for a network that uses it", async () => {
  const host = new FakeDoctorHost();
  host.broken.set("wireguard", "EOPNOTSUPP");
  const cure = "modprobe wireguard; if there is no such module, install the " +
    "distribution's full kernel package";
  assertEquals(worse(await host.find(kernelFeaturesCheck)), [
    "note kernel.wireguard",
  ]);
  host.publish({ Backend: { Type: "wireguard" } });
  assertEquals(worse(await host.find(kernelFeaturesCheck)), [
    `problem kernel.wireguard: ${cure}`,
  ]);
});

Deno.test("what the udp backend needs depends on the data path that is asked for", async () => {
  const severities = async (broken: readonly string[], ...argv: string[]) => {
    const host = new FakeDoctorHost();
    host.argv = argv;
    for (const feature of broken) host.broken.set(feature, "EPERM");
    return worse(await host.find(kernelFeaturesCheck))
      .map((line) => line.split(":")[0]);
  };
  assertEquals(await severities(["bpf"]), ["warning kernel.bpf"]);
  assertEquals(await severities(["bpf"], "--datapath=tun"), [
    "note kernel.bpf",
  ]);
  assertEquals(await severities(["bpf"], "--datapath=ebpf"), [
    "problem kernel.bpf",
  ]);
  assertEquals(await severities(["tun"]), ["note kernel.tun"]);
  assertEquals(await severities(["tun"], "--datapath=tun"), [
    "problem kernel.tun",
  ]);
  assertEquals(await severities(["tun", "veth"]), [
    "problem kernel.tun",
    "problem kernel.veth",
  ]);
  assertEquals(await severities(["tcx"]), ["note kernel.tcx"]);
  assertEquals(await severities(["tcx", "clsact"]), [
    "warning kernel.tcx",
    "warning kernel.clsact",
  ]);
  assertEquals(await severities(["xdp"]), ["note kernel.xdp"]);
});

Deno.test("what a trial knows to do comes before the name of a module", async () => {
  const host = new FakeDoctorHost();
  host.argv = ["--datapath=tun"];
  host.broken.set("tun", "ENOENT");
  host.fixes.set("tun", "pass --device /dev/net/tun");
  assertEquals(worse(await host.find(kernelFeaturesCheck)), [
    "problem kernel.tun: pass --device /dev/net/tun",
  ]);
});

Deno.test("no feature is tried whose module that would load", async () => {
  const host = new FakeDoctorHost();
  host.modules.set("vxlan", "loadable");
  host.modules.set("ipip", "absent");
  host.modules.delete("wireguard");
  const findings = await host.find(kernelFeaturesCheck);
  assertEquals(host.tried, ["tun", "veth", "bpf", "tcx", "clsact", "xdp"]);
  assertEquals(
    findings.filter(({ code }) => /vxlan|ipip|wireguard/.test(code))
      .map(({ severity, value }) => `${severity} ${value.split(/[:,]/)[0]}`),
    [
      "ok a module that loads itself when it is needed",
      "note missing",
      "note not tried",
    ],
  );
  // Nothing can load one: all are tried.
  host.canLoadModules = false;
  await host.find(kernelFeaturesCheck);
  assertEquals(host.tried.length, 9);
});

Deno.test("where no namespace can be made, that is a note", async () => {
  const host = new FakeDoctorHost();
  host.trialFailure = new TrialFailedError("EPERM");
  assertEquals(worse(await host.find(kernelFeaturesCheck)), [
    "note kernel.features",
  ]);
});

Deno.test("what the kernel data path uses is listed by name, and what it does without", async () => {
  const host = new FakeDoctorHost();
  host.parts = [
    {
      name: "maps",
      since: "4.11",
      without: "",
      isRequired: true,
      problem: undefined,
    },
    {
      name: "DECAP",
      since: "7.3",
      without: "super-packets are segmented",
      isRequired: false,
      problem: "EINVAL",
    },
  ];
  const findings = (await host.find(kernelFeaturesCheck))
    .filter(({ code }) => code === "kernel.bpf");
  assertEquals(findings.map(({ severity, value }) => [severity, value]), [
    ["ok", "works (maps): gives the kernel data path"],
    ["note", "no DECAP (Linux 7.3 has it): super-packets are segmented"],
  ]);
});

Deno.test("without root no feature is tried", async () => {
  const host = new FakeDoctorHost();
  host.isRoot = false;
  assertEquals(worse(await host.find(kernelFeaturesCheck)), []);
  assertEquals(host.tried, []);
});

Deno.test("firewall: no tool is a problem where rules are wanted", async () => {
  const host = new FakeDoctorHost();
  assertEquals(worse(await host.find(firewallCheck)), []);
  host.programs = {};
  const [line] = worse(await host.find(firewallCheck));
  assertStringIncludes(
    line!,
    "problem firewall.tool: apt-get install iptables",
  );
  host.argv = ["--ip-masq=false", "--iptables-forward-rules=false"];
  const [note] = worse(await host.find(firewallCheck));
  assertStringIncludes(note!, "note firewall.tool");
});

Deno.test("firewall: a tool that fails gives way to the other one", async () => {
  const host = new FakeDoctorHost();
  host.programs["iptables-save"] = () => ({ code: 1, stderr: "no permission" });
  const [tool] = await host.find(firewallCheck);
  assertEquals(
    tool!.value,
    "nftables v1.1.3; not iptables-save: no permission",
  );
});

Deno.test("firewall: tools that both fail are installed already", async () => {
  const host = new FakeDoctorHost();
  host.programs["iptables-save"] = () => ({ code: 1, stderr: "no table" });
  host.programs["nft"] = (words) =>
    words[0] === "list" ? { code: 1, stderr: "no netlink" } : { stdout: "v1" };
  const [tool] = await host.find(firewallCheck);
  assertEquals(tool!.severity, "problem");
  assertEquals(tool!.value, "iptables-save: no table; nft: no netlink");
  assertStringIncludes(tool!.fix!, "modprobe --all nf_tables ip_tables");
});

Deno.test("firewall: nothing is run that would load nf_tables", async () => {
  const host = new FakeDoctorHost();
  host.modules.set("nf_tables", "loadable");
  const refuse = (words: readonly string[]) => {
    if (words[0] === "--version") return { stdout: "iptables (nf_tables)" };
    throw new Error("it would load the module");
  };
  host.programs = {
    "iptables": refuse,
    "iptables-save": refuse,
    "nft": refuse,
  };
  assertEquals(worse(await host.find(firewallCheck)), []);
});

Deno.test("firewall: other writers, both kinds of iptables and a policy that blocks are named", async () => {
  const host = new FakeDoctorHost();
  host.argv = ["--iptables-forward-rules=false"];
  host.programs["iptables-save"] = () => ({
    stdout: "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n" +
      ":ufw-user-input - [0:0]\nCOMMIT\n",
    stderr: "# Warning: iptables-legacy tables present, use " +
      "iptables-legacy-save to see them\n",
  });
  host.programs["nft"] = (words) => ({
    stdout: words[0] === "list" ? "table inet firewalld\n" : "nftables v1",
  });
  const findings = await host.find(firewallCheck);
  assertEquals(
    findings.find(({ what }) => what === "other rules")!.value,
    "set by Docker, ufw",
  );
  assertEquals(worse(findings), [
    "note firewall.writers",
    "warning firewall.writers: firewall-cmd --permanent --zone=trusted " +
    "--add-source=10.1.0.0/16 && firewall-cmd --reload",
    "warning firewall.forward-policy: start the agent with " +
    "--iptables-forward-rules=true",
    "warning firewall.two-kinds: iptables-legacy-save, and remove what it " +
    "shows from the program that sets it",
  ]);
});

Deno.test("clock: compared with etcd's, whatever sets it", async () => {
  const host = new FakeDoctorHost();
  assertEquals(worse(await host.find(clockCheck)), []);
  host.clock = { synchronized: false, maxErrorMs: 16_000_000 };
  assertEquals(worse(await host.find(clockCheck)), [
    "note clock.sync: timedatectl set-ntp true",
  ]);
  const [report] = host.etcd;
  host.etcd = [{ ...report!, aheadMs: { least: 299_500, most: 300_600 } }];
  const [behind] = await host.find(clockCheck);
  assertEquals(
    [behind!.severity, behind!.value],
    [
      "warning",
      "is 5 min behind http://192.0.2.1:2379: one of the two is wrong",
    ],
  );
  host.etcd = [{ ...report!, aheadMs: { least: -9_000, most: -7_900 } }];
  const [ahead] = await host.find(clockCheck);
  assertStringIncludes(ahead!.value, "is 8 s ahead of http://192.0.2.1:2379");
  // Without a word from etcd it matters who sets the clock.
  host.etcd = [];
  assertEquals(worse(await host.find(clockCheck)), [
    "warning clock.sync: timedatectl set-ntp true",
  ]);
});

Deno.test("underlay: the interface that a start would choose, with the overlay's MTU", async () => {
  const host = new FakeDoctorHost();
  const findings = await host.find(underlayCheck);
  assertEquals(worse(findings), []);
  assertEquals(findings.map(({ value }) => value), [
    "eth0 192.0.2.11",
    "eth0 1500, so the overlay has 1472 (udp)",
    "192.0.2.11 is in no other host's lease; no packet is sent to ask the link",
  ]);
  host.argv = ["--iface=eth9"];
  assertEquals(worse(await host.find(underlayCheck)), [
    "problem underlay.interface: this host has eth0 (192.0.2.11)",
  ]);
});

Deno.test("underlay: another program has the agent's port", async () => {
  const host = new FakeDoctorHost();
  const listen = (address: string) =>
    host.files.set(
      "/proc/self/net/udp",
      `1: ${address} 00000000:0000 07 0:0 0:0 0 0 0 77119 2 0 0\n`,
    );
  const port = async () =>
    worse(await host.find(underlayCheck)).map((line) => line.split(":")[0]);
  listen("0100007F:205D");
  assertEquals(await port(), []);
  listen("0B0200C0:205D");
  assertEquals(await port(), ["problem underlay.port"]);
  listen("00000000:205D");
  assertEquals(await port(), ["problem underlay.port"]);
  host.publish({ Backend: { Type: "udp", Port: 9000 } });
  assertEquals(await port(), []);
  host.publish({ Backend: { Type: "vxlan" } });
  listen("00000000:2118");
  assertEquals(await port(), []);
  // It is the agent's own.
  host.publish({});
  listen("0B0200C0:205D");
  host.sight = { kind: "unseen", reason: "it hangs" };
  assertEquals(await port(), []);
});

Deno.test("underlay: a device that is down", async () => {
  const host = new FakeDoctorHost();
  const eth1 = host.rtnetlink.addLink({ name: "eth1" });
  host.rtnetlink.addAddress(eth1.index, "198.51.100.7/24");
  host.argv = ["--iface=eth1"];
  assertEquals(worse(await host.find(underlayCheck)), [
    "problem underlay.interface: ip link set eth1 up",
  ]);
});

Deno.test("underlay: another installation's lease with the same address", async () => {
  const host = new FakeDoctorHost();
  const set = (hostId: string) =>
    host.known = {
      ...host.known,
      leases: [leaseOf("10.1.9.0/24", "192.0.2.11", hostId)],
    };
  set(HOST_ID);
  assertEquals(worse(await host.find(underlayCheck)), []);
  set("f".repeat(32));
  const [line] = worse(await host.find(underlayCheck));
  assertStringIncludes(line!, "warning underlay.address: ");
  // It may be a former installation of this host.
  host.known = { ...host.known, hostId: undefined };
  const [note] = worse(await host.find(underlayCheck));
  assertStringIncludes(note!, "note underlay.address: ");
  // Not known is said, and nothing is sent.
  host.known = { ...host.known, leases: undefined };
  assertEquals(worse(await host.find(underlayCheck)), [
    "note underlay.address",
  ]);
});

Deno.test("agent: absent is worth a note, its warnings are counted", async () => {
  const host = new FakeDoctorHost();
  assertEquals(worse(await host.find(agentCheck)), ["note agent.state"]);
  const warning = {
    code: "host.forwarding",
    severity: "warning",
    text: "",
    impairs: "",
    since: "2026-01-01T00:00:00.000Z",
    dependsOn: [],
    visible: true,
  };
  const status = {
    pid: 7,
    ready: true,
    version: VERSION,
    waitingFor: null,
    warnings: [] as unknown[],
  };
  const show = (part: Partial<typeof status>) =>
    host.sight = {
      kind: "running",
      status: { ...status, ...part } as never,
    };
  show({});
  assertEquals(worse(await host.find(agentCheck)), []);
  show({ warnings: [warning] });
  assertEquals(worse(await host.find(agentCheck)), [
    "warning agent.warnings: loden status",
  ]);
  show({ warnings: [warning, { ...warning, severity: "error" }] });
  assertEquals(worse(await host.find(agentCheck)), [
    "problem agent.warnings: loden status",
  ]);
  show({ ready: false, version: "0.0.1" });
  assertEquals(worse(await host.find(agentCheck)), [
    "warning agent.state: loden status",
    "note agent.version: systemctl restart loden",
  ]);
  host.sight = { kind: "unseen", reason: "it does not answer" };
  assertEquals(worse(await host.find(agentCheck)), ["warning agent.state"]);
});

Deno.test("agent: a flanneld is a problem, and the cure stops its unit", async () => {
  const host = new FakeDoctorHost();
  host.flanneld = { pid: 812, shared: "the network /coreos.com/network" };
  assertEquals(
    worse(await host.find(agentCheck)).at(-1),
    "problem flanneld.running: kill 812",
  );
  host.files.set("/proc/812/cgroup", "0::/system.slice/flanneld.service\n");
  assertEquals(
    worse(await host.find(agentCheck)).at(-1),
    "problem flanneld.running: systemctl disable --now flanneld.service",
  );
});

Deno.test("agent: a setting without effect is named", async () => {
  const host = new FakeDoctorHost();
  host.argv = ["--etcd-cafile=/ca.pem"];
  assertEquals(worse(await host.find(agentCheck))[0], "note settings.warning");
});
