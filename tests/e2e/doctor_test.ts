/**
 * `loden doctor` on a host of a rig: healthy, and broken in six ways, each of
 * which it finds, with the command that cures it.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { attempt } from "../../tools/command.ts";
import { Daemon } from "../rig/daemon.ts";
import { lodenCommand } from "../rig/loden_program.ts";
import { Rig } from "../rig/rig.ts";
import { doctorFaults } from "../support/doctor_schema.ts";
import { CONFIG, SUBNETS } from "./overlay.ts";

/** An address of the underlay that no host has. */
const NOBODY = "http://192.0.2.99:2379";
/** The whole command, with the start of the program on a busy machine. */
const MOST_MS = 6_000;

/** Everything that the command could have changed. */
const SNAPSHOT = `
ip -o link show | sed 's/ qlen .*//' | sort
ip -o address show | sed 's/valid_lft.*//' | grep -v inet6 | sort
ip route show table all | grep -v -e fe80 -e ff00 | sort
iptables-save | grep -v '^#' | sed 's/\\[.*//'
nft list tables | sort
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter
cat /proc/modules 2>/dev/null | cut -d' ' -f1 | sort`;

/** What stands before a command to run it with a mount that only it sees. */
function inMounts(mount: string): string[] {
  const script = `mount --make-rprivate /; ${mount}; exec "$@"`;
  return ["unshare", "--mount", "sh", "-ec", script, "sh"];
}

interface Finding {
  readonly code: string;
  readonly severity: string;
  readonly value: string;
  readonly fix: string | null;
}

Deno.test("doctor finds what is wrong with a host, and changes nothing", async (t) => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const { directory, namespace } = rig.host(0);
  const subnetFile = `${directory}/subnet.env`;
  const flags = (endpoint: string) => [
    `--etcd-endpoints=${endpoint}`,
    "--iface=eth0",
    "--ip-masq=true",
    `--subnet-file=${subnetFile}`,
    `--docker-opts-file=${directory}/docker_opts.env`,
    `--state-dir=${directory}/state`,
    `--run-dir=${directory}/run`,
  ];
  const doctor = async (
    { args = [], endpoint = rig.etcdEndpoint, wrapper = [] }: {
      readonly args?: readonly string[];
      readonly endpoint?: string;
      readonly wrapper?: readonly string[];
    } = {},
  ) => {
    const { exitCode, stderr, stdout } = await attempt([
      ...namespace.commandPrefix,
      ...wrapper,
      ...lodenCommand(),
      "doctor",
      "--json",
      ...flags(endpoint),
      ...args,
    ], { env: { DENO_NO_UPDATE_CHECK: "1" } });
    assert(stdout !== "", stderr);
    const output = JSON.parse(stdout);
    assertEquals(doctorFaults(output), []);
    const findings: Finding[] = output.findings;
    return {
      exitCode,
      stderr,
      findings,
      bad: findings.filter(({ severity }) =>
        severity === "warning" || severity === "problem"
      ).map(({ code, fix, severity }) => `${severity} ${code}: ${fix}`),
    };
  };
  const snapshot = async () => ({
    kernel: await namespace.run(["sh", "-uc", SNAPSHOT]),
    files: [...Deno.readDirSync(directory)].map(({ name }) => name),
  });

  await t.step("a healthy host has no warning, and is as it was", async () => {
    const before = await snapshot();
    const revision = await rig.etcd.ctl("get", SUBNETS, "--write-out=json");
    const { bad, exitCode, findings } = await doctor();
    assertEquals(bad, []);
    assertEquals(exitCode, 0);
    assertEquals(await snapshot(), before);
    assertEquals(
      await rig.etcd.ctl("get", SUBNETS, "--write-out=json"),
      revision,
    );
    const codes = findings.map(({ code }) => code);
    for (
      const code of [
        "kernel.bpf",
        "sysctl.forwarding",
        "firewall.tool",
        "clock.etcd",
        "etcd.endpoint",
        "etcd.rights",
        "network.config",
        "network.overlap",
        "network.leftover",
        "underlay.mtu",
      ]
    ) assert(codes.includes(code as never), code);
  });

  await t.step("it is readable by people, too", async () => {
    const { exitCode, stdout } = await attempt([
      ...namespace.commandPrefix,
      ...lodenCommand(),
      "doctor",
      ...flags(rig.etcdEndpoint),
    ]);
    assertEquals(exitCode, 0);
    assertStringIncludes(stdout, "\nok       network");
    assert(/^\d+ notes?$/.test(stdout.trimEnd().split("\n").at(-1)!), stdout);
  });

  await t.step(
    "nothing that a running agent has set up is accused",
    async () => {
      const agent = await rig.startAgent(rig.host(0));
      await agent.ready();
      const { files } = agent;
      const { bad, findings } = await doctor({
        args: [
          `--subnet-file=${files.subnetFile}`,
          `--state-dir=${files.stateDirectory}`,
          `--run-dir=${files.runDirectory}`,
        ],
      });
      assertEquals(bad, []);
      const [state] = findings.filter(({ code }) => code === "agent.state");
      assertEquals(state!.severity, "ok");
      // Without flags, its own settings are looked at, also while it hangs.
      const own = () =>
        attempt([
          ...namespace.commandPrefix,
          ...lodenCommand(),
          ...["doctor", `--run-dir=${files.runDirectory}`],
        ]);
      const { exitCode, stdout } = await own();
      assertEquals(exitCode, 0, stdout);
      const { pid } = agent.process;
      Deno.kill(pid, "SIGSTOP");
      const hung = await own().finally(() => Deno.kill(pid, "SIGCONT"));
      assertStringIncludes(hung.stdout, `those of process ${pid}`);
      assertStringIncludes(hung.stdout, "\nwarning  agent");
      assertEquals(hung.exitCode, 0, hung.stdout);
      await agent.stop();
      // It leaves the network in place, and then it is its own leftover.
      assertEquals((await doctor()).bad, []);
    },
  );

  await t.step("forwarding is off", async () => {
    await namespace.sysctl({ "net/ipv4/ip_forward": "0" });
    const { bad, exitCode } = await doctor();
    await namespace.sysctl({ "net/ipv4/ip_forward": "1" });
    assertEquals(bad, [
      "problem sysctl.forwarding: sysctl -w net.ipv4.ip_forward=1",
    ]);
    assertEquals(exitCode, 1);
  });

  await t.step(
    "etcd is silent, and the command waits no longer for it",
    async () => {
      const startedMs = performance.now();
      const { bad, exitCode, findings, stderr } = await doctor({
        endpoint: NOBODY,
      });
      const tookMs = performance.now() - startedMs;
      assert(tookMs < MOST_MS, `it took ${tookMs} ms`);
      assertEquals(exitCode, 1);
      assertEquals(bad.filter((line) => line.includes("etcd")), [
        "problem etcd.endpoint: ip route get 192.0.2.99; ping -c 3 192.0.2.99, " +
        "and look for a firewall between the two",
      ]);
      assertStringIncludes(stderr, "waiting for etcd");
      // The other checks have their results.
      assert(findings.some(({ code }) => code === "kernel.bpf"));
    },
  );

  await t.step("flannel has left a device", async () => {
    await namespace.ip([
      "link add flannel.1 type vxlan id 1 dev eth0 dstport 8472 nolearning",
      "address add 10.1.7.0/32 dev flannel.1",
      "link set flannel.1 up",
      "route add 10.1.8.0/24 via 10.1.8.0 dev flannel.1 onlink",
    ]);
    const { bad, exitCode } = await doctor();
    assertEquals(bad, ["problem network.leftover: ip link delete flannel.1"]);
    assertEquals(exitCode, 1);
    await namespace.run(["sh", "-ec", "ip link delete flannel.1"]);
    assertEquals((await doctor()).bad, []);
  });

  await t.step("the firewall's tools are not on the PATH", async () => {
    const { bad } = await doctor({
      wrapper: inMounts("mount -t tmpfs none /usr/sbin"),
    });
    assertEquals(bad.length, 1, bad.join("\n"));
    assertStringIncludes(
      bad[0]!,
      "problem firewall.tool: apt-get install iptables",
    );
  });

  await t.step("Docker runs without the options", async () => {
    await Deno.writeTextFile(
      subnetFile,
      "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.5.1/24\n" +
        "FLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n",
    );
    // It needs nothing of Docker but its name, its options and its bridge.
    await Deno.mkdir(`${directory}/docker-run`, { mode: 0o755 });
    await Deno.copyFile("/bin/sleep", `${directory}/dockerd`);
    await Deno.chmod(`${directory}/dockerd`, 0o755);
    await using daemon = new Daemon({
      name: "dockerd",
      command: [...namespace.commandPrefix, `${directory}/dockerd`, "600"],
      logFile: `${directory}/dockerd.log`,
    });
    await Deno.writeTextFile(
      `${directory}/docker-run/docker.pid`,
      String(daemon.pid),
    );
    await daemon.until("dockerd in its place", () => {
      const comm = Deno.readTextFileSync(`/proc/${daemon.pid}/comm`);
      return comm.trim() === "dockerd";
    }, 5_000);
    await namespace.ip([
      "link add docker0 type bridge",
      "address add 172.17.0.1/16 dev docker0",
    ]);
    const { bad, findings } = await doctor({
      wrapper: inMounts(`mount --bind ${directory}/docker-run /run`),
    });
    const [options] = findings.filter(({ code }) => code === "docker.options");
    assertEquals(
      options!.value,
      "dockerd runs without --bip=10.1.5.1/24 --mtu=1472 --ip-masq=false",
    );
    assert(
      bad.includes("problem docker.options: systemctl restart docker"),
      bad.join("\n"),
    );
  });

  await t.step("the account may only read", async () => {
    const { etcd } = rig;
    await etcd.ctl("role", "add", "reader");
    await etcd.ctl(
      ...["role", "grant-permission", "reader"],
      ...["read", "--prefix", "/coreos.com/network/"],
    );
    await etcd.ctl("user", "add", "reader:secret");
    await etcd.ctl("user", "grant-role", "reader", "reader");
    await etcd.ctl("user", "add", "root:root");
    await etcd.ctl("user", "grant-role", "root", "root");
    await etcd.ctl("auth", "enable");
    etcd.user = "root:root";
    const { bad, exitCode } = await doctor({
      args: ["--etcd-username=reader", "--etcd-password=secret"],
    });
    const grant = "etcdctl role grant-permission reader readwrite --prefix";
    assert(
      bad.includes(`problem etcd.rights: ${grant} ${SUBNETS}/`),
      bad.join("\n"),
    );
    assertEquals(exitCode, 1);
  });
});
