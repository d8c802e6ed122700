/**
 * Docker's containers on booted hosts: three machines, the first two with the
 * data path in the kernel, the third with the one in user space.
 *
 * The tests go on from one another: the hosts boot once.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { runContainer } from "../../rig/booted/docker.ts";
import type { DockerContainer } from "../../rig/booted/docker.ts";
import { INTERNET_ADDRESS } from "../../rig/rig.ts";
import { placedPrograms } from "../../rig/bpf_objects.ts";
import { CONFIG, eventually, serve } from "../overlay.ts";
import { program } from "../programs/path.ts";
import { SteadyTraffic } from "../steady_traffic.ts";
import {
  assertPings,
  assertTcp,
  assertUdpEcho,
  untilAnswered,
} from "../traffic.ts";
import {
  installProgram,
  whatToInstall,
} from "../../rig/booted/installation.ts";
import type { BootedHost } from "../../rig/booted/booted_host.ts";
import { DockerWorld, enableLoden } from "./docker_world.ts";

const OVERLAY_MTU = 1472;
const IP_AND_ICMP_BYTES = 28;
const UDP_SIZES = [1, 512, 1444, 1445, 9000];
const PORT = "7004";
const REDIS = "redis";
const PING_INTERVAL_SECONDS = 0.02;

const DOCUMENTATION = new URL("../../../docs/systemd.md", import.meta.url);
/** The third host has it. */
const LESS_POWER = new URL(
  "../../../packaging/examples/60-no-kernel-programs.conf",
  import.meta.url,
);
/** On the third host. */
const KEY = "/home/etcd/key.pem";
/** Bits of capabilities, linux/capability.h. */
const NET_ADMIN_AND_RAW = 1n << 12n | 1n << 13n;
const SYS_ADMIN_AND_BPF = 1n << 21n | 1n << 39n;
/** Of each host. */
const DATA_PATHS = ["ebpf", "ebpf", "tun"] as const;

let booted: Promise<DockerWorld> | undefined;
let joined: Promise<DockerWorld> | undefined;

/** A key of another user, and a drop-in that hands a copy to the agent. */
async function putKey(machine: BootedHost): Promise<void> {
  await machine.writeTextFile(KEY, "a key\n");
  await Deno.chown(`${machine.root}${KEY}`, 1_234, 1_234);
  await Deno.chmod(`${machine.root}${KEY}`, 0o600);
  await machine.writeTextFile(
    "/etc/systemd/system/loden.service.d/70-key.conf",
    `[Service]\nLoadCredential=etcd-key:${KEY}\nEnvironment=KEY=%d/etcd-key\n`,
  );
}

/** Booted, with no etcd yet. */
function bootedWorld(): Promise<DockerWorld> {
  return booted ??= DockerWorld.boot({
    hosts: DATA_PATHS.length,
    prepare: async (host, rig) => {
      const dataPath = DATA_PATHS[rig.hosts.indexOf(host.host)]!;
      await enableLoden(host, rig, {
        FLANNELD_DATAPATH: dataPath,
        FLANNELD_ON_SUBNET_CHANGE: "run:systemctl try-restart docker",
      });
      if (dataPath === "ebpf") return;
      await host.machine.writeTextFile(
        "/etc/systemd/system/loden.service.d/60-no-kernel-programs.conf",
        await Deno.readTextFile(LESS_POWER),
      );
      await putKey(host.machine);
    },
  });
}

/** With etcd, and a container on each host. */
function world(): Promise<DockerWorld> {
  return joined ??= bootedWorld().then(async (world) => {
    await world.rig.startEtcd();
    await world.rig.publish(CONFIG);
    await world.startContainers();
    await world.untilJoined();
    return world;
  });
}

Deno.test.afterAll(async () => {
  // What did not start has failed its tests already.
  const [result] = await Promise.allSettled([booted]);
  if (result.status === "fulfilled") {
    await result.value?.[Symbol.asyncDispose]();
  }
});

/** To each other, and to the one in user space, in both directions. */
const DIRECTIONS = [[0, 1], [1, 0], [0, 2], [2, 0]] as const;

async function eachDirection(
  body: (from: DockerContainer, to: DockerContainer) => Promise<void>,
): Promise<void> {
  const { hosts } = await world();
  const containers = await Promise.all(
    hosts.map(async (_, index) => (await world()).container(index)),
  );
  for (const [from, to] of DIRECTIONS) {
    await body(containers[from]!, containers[to]!);
  }
}

Deno.test("hosts that boot before etcd wait for it, and Docker waits for them", async () => {
  const { hosts } = await bootedWorld();
  for (const { machine } of hosts) {
    await machine.untilUnit("loden.service", "activating");
    await machine.until(
      "a STATUS that names etcd",
      ["systemctl", "show", "--property=StatusText", "loden.service"],
      ({ stdout }) => /etcd/.test(stdout),
    );
    await machine.run(["systemctl", "start", "--no-block", "docker.service"]);
    const { stdout } = await machine.attempt(
      ["systemctl", "is-active", "docker.service"],
    );
    assertEquals(stdout.trim(), "inactive");
  }
});

Deno.test("they come up when etcd does, each Docker on its lease's bridge", async () => {
  const all = await world();
  for (const index of all.hosts.keys()) await all.assertBridge(index);
});

Deno.test("pings between containers are answered, up to the overlay's MTU", async () => {
  await eachDirection(async (from, to) => {
    assertEquals(from.mtuBytes, OVERLAY_MTU);
    await assertPings(from.namespace, to.address, [
      ...["-M", "do", "-s", String(OVERLAY_MTU - IP_AND_ICMP_BYTES)],
    ]);
  });
});

Deno.test("UDP of every size comes back unchanged, and TCP arrives byte for byte", async () => {
  const { rig } = await world();
  await eachDirection(async (from, to) => {
    await assertUdpEcho({ rig, from, to }, UDP_SIZES);
    await assertTcp({ rig, from, to }, 50);
  });
});

/** The sender of a datagram, as `to` sees it. */
async function senderSeen(
  from: DockerContainer,
  to: Pick<DockerContainer, "namespace" | "address">,
): Promise<string> {
  const { rig } = await world();
  await using server = await serve(
    rig,
    to.namespace,
    program("udp_capture.ts", to.address, PORT),
  );
  await from.namespace.run(
    program("udp_inject.ts", to.address, PORT),
    { stdin: "68656c6c6f\n" },
  );
  const [, sender] = await server.untilLogged(
    /^([\d.]+):\d+ 68656c6c6f$/m,
    5_000,
  );
  return sender!;
}

Deno.test("a container's address is kept within the overlay", async () => {
  await eachDirection(async (from, to) => {
    assertEquals(await senderSeen(from, to), from.address);
  });
});

Deno.test("a container reaches the outside by its host's address", async () => {
  const all = await world();
  for (const [index, { host }] of all.hosts.entries()) {
    const container = await all.container(index);
    const outside = { namespace: all.rig.switch, address: INTERNET_ADDRESS };
    assertEquals(await senderSeen(container, outside), host.address);
  }
});

Deno.test("redis in a container is reached by its address, and by a published port of its host", async () => {
  const all = await world();
  const redis = await runContainer(all.host(0).machine, REDIS, {
    command: ["redis-server", "--protected-mode", "no"],
    options: ["--publish=6379:6379", "--restart=always"],
  });
  const published = all.host(0).host.address;
  const ask = ["redis-cli", "-h"];
  for (const index of [1, 2]) {
    const { machine } = all.host(index);
    for (const address of [redis.address, published]) {
      for (const place of [[], ["docker", "exec", "first"]]) {
        await machine.until(
          `an answer of redis at ${address}`,
          [...place, ...ask, address, "ping"],
          ({ stdout }) => stdout.trim() === "PONG",
        );
      }
    }
  }
});

Deno.test("a Docker that is restarted keeps its subnet, and its containers are reached", async () => {
  const all = await world();
  const { machine } = all.host(0);
  await machine.run(["systemctl", "restart", "docker.service"]);
  await all.assertBridge(0);
  // They name Docker's bridge, which may have been away.
  await eventually(
    "the rules against spoofing",
    () => machine.run(["iptables-save", "-t", "mangle"]),
    (rules) => / -i docker0 .*LODEN-SPOOF/.test(rules),
  );
  const to = await all.container(0);
  for (const index of [1, 2]) {
    const { namespace } = await all.container(index);
    await untilAnswered(namespace, to.address);
    await assertPings(namespace, to.address);
  }
});

Deno.test("what Docker 28 and later drop passes when it comes by the overlay, and only then", async () => {
  const all = await world();
  const { host, machine } = all.host(0);
  const to = await all.container(0);
  const subnet = await all.subnet(0);
  const direct = () =>
    all.rig.switch.attempt(["ping", "-n", "-c1", "-W1", to.address]);
  await all.rig.switch.ip([`route add ${subnet} via ${host.address}`]);
  try {
    assertMatch((await direct()).stdout, / 1 received/);
    // Word for word what Docker 28.2 has, beside the rest that 26.1 has too.
    await machine.run([
      ...["iptables", "-t", "raw", "-A", "PREROUTING"],
      ...["-d", to.address, "!", "-i", "docker0", "-j", "DROP"],
    ]);
    await machine.run([
      ...["iptables", "-A", "DOCKER"],
      ...["!", "-i", "docker0", "-o", "docker0", "-j", "DROP"],
    ]);
    for (const index of [1, 2]) {
      const { namespace } = await all.container(index);
      await untilAnswered(namespace, to.address);
      await assertPings(namespace, to.address);
      await assertTcp(
        { rig: all.rig, from: await all.container(index), to },
        1,
      );
    }
    assertMatch((await direct()).stdout, / 0 received/);
  } finally {
    await all.rig.switch.ip([`route delete ${subnet}`]);
    await machine.run(["systemctl", "restart", "docker.service"]);
    await machine.attempt(["iptables", "-t", "raw", "-F", "PREROUTING"]);
    await machine.attempt([
      ...["iptables", "-D", "DOCKER"],
      ...["!", "-i", "docker0", "-o", "docker0", "-j", "DROP"],
    ]);
  }
});

Deno.test("packets flow on while the agent is stopped, started, killed and upgraded: none is lost in the kernel, and no byte of a stream on either path", async () => {
  const all = await world();
  const from = await all.container(0);
  await using kernel = await SteadyTraffic.start(
    { rig: all.rig, from, to: await all.container(1) },
    PING_INTERVAL_SECONDS,
  );
  await using user = await SteadyTraffic.start(
    { rig: all.rig, from, to: await all.container(2) },
    PING_INTERVAL_SECONDS,
  );
  for (const { machine } of all.hosts) {
    const pid = () =>
      machine.run(["systemctl", "show", "--property=MainPID", "loden.service"]);
    const files = ["/run/flannel/subnet.env", "/run/flannel_docker_opts.env"];
    await machine.run(["systemctl", "stop", "loden.service"]);
    for (const file of files) await machine.run(["test", "-s", file]);
    await machine.run(["systemctl", "start", "loden.service"]);
    const first = await pid();
    await machine.run(["systemctl", "kill", "-sKILL", "loden.service"]);
    await machine.until(
      "another agent",
      ["systemctl", "show", "--property=MainPID", "loden.service"],
      ({ stdout }) => stdout !== first && stdout !== "MainPID=0\n",
    );
    await machine.untilUnit("loden.service", "active");
    const { program } = whatToInstall();
    await installProgram(machine, program);
    const second = await pid();
    await machine.run(["systemctl", "restart", "loden.service"]);
    assertNotEquals(await pid(), second);
  }
  await all.untilJoined();
  await kernel.assertNothingLost();
  const { lost, sent } = await user.finish();
  assert(sent > lost.length, `${lost.length} of ${sent} lost in user space`);
});

Deno.test("a host that is rebooted while etcd is away has its subnet and its containers again", async () => {
  const all = await world();
  const subnet = await all.subnet(0);
  all.rig.etcd.pause();
  try {
    await all.host(0).machine.reboot();
    await all.host(0).machine.untilUnit("docker.service", "active");
    assertEquals(await all.subnet(0), subnet);
    assertEquals((await all.status(0)).fromSavedState, true);
    const from = await all.container(0);
    for (const index of [1, 2]) {
      const { address } = await all.container(index);
      await untilAnswered(from.namespace, address);
      await assertPings(from.namespace, address);
    }
  } finally {
    all.rig.etcd.resume();
  }
  await all.untilJoined();
  await all.assertBridge(0);
  for (const index of all.hosts.keys()) {
    await eventually(
      `host ${index} without warnings`,
      () => all.status(index),
      ({ warnings }) => warnings.length === 0,
      30_000,
    );
  }
});

Deno.test("no unit of any host has failed", async () => {
  const { hosts } = await world();
  for (const { machine } of hosts) {
    const failed = ["systemctl", "list-units", "--failed", "--plain", "-q"];
    assertEquals(await machine.run(failed), "");
  }
});

Deno.test("the units are as systemd wants them, and as exposed as the documentation says", async () => {
  const { machine } = (await world()).host(0);
  const units = ["loden.service", "loden-cleanup.service", "docker.service"];
  const said = await machine.attempt(
    ["systemd-analyze", "verify", "--man=no", ...units],
  );
  assertEquals([said.exitCode, said.stderr], [0, ""]);
  const [, exposure] = /exposure level for \S+: ([\d.]+)/.exec(
    await machine.run(["systemd-analyze", "security", "loden.service"]),
  )!;
  const [, documented] = /loden\.service` reports ([\d.]+)/.exec(
    await Deno.readTextFile(DOCUMENTATION),
  )!;
  assertEquals(exposure, documented);
});

/** The number of the agent's process on a machine. */
async function agentOf(machine: BootedHost): Promise<string> {
  return (await machine.run(
    ["systemctl", "show", "--property=MainPID", "--value", "loden.service"],
  )).trim();
}

/** A shell as root without limits, but in what the unit sees of the file system. */
async function inUnit(machine: BootedHost, script: string) {
  const enter = `--target=${await agentOf(machine)}`;
  return await machine.attempt(
    ["nsenter", enter, "--mount", "sh", "-c", script],
  );
}

Deno.test("the agents run with the documented capabilities and no others, on both data paths", async () => {
  const { hosts } = await world();
  for (const [index, { machine }] of hosts.entries()) {
    const status = await machine.run([
      "cat",
      `/proc/${await agentOf(machine)}/status`,
    ]);
    const wanted = DATA_PATHS[index] === "ebpf"
      ? NET_ADMIN_AND_RAW | SYS_ADMIN_AND_BPF
      : NET_ADMIN_AND_RAW;
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) {
      const [, digits] = new RegExp(`^${set}:\\s+(\\w+)$`, "m").exec(status)!;
      assertEquals(BigInt(`0x${digits}`), wanted, `${set} of host ${index}`);
    }
    assertMatch(status, /^NoNewPrivs:\s+1$/m);
    assertMatch(status, /^Seccomp:\s+2$/m);
    const { backend, warnings } = await (await world()).status(index);
    assertEquals([backend?.dataPath, warnings], [DATA_PATHS[index], []]);
  }
});

Deno.test("under its unit an agent writes to its own directories only", async () => {
  const { hosts } = await world();
  for (const { machine } of hosts) {
    for (const directory of ["/run/loden", "/run/flannel", "/var/lib/loden"]) {
      const own = await inUnit(
        machine,
        `: >${directory}/x && rm ${directory}/x`,
      );
      assertEquals([own.exitCode, own.stderr], [0, ""]);
    }
    const lock = await inUnit(machine, ": >>/run/xtables.lock");
    assertEquals([lock.exitCode, lock.stderr], [0, ""]);
    for (const path of ["/run/x", "/run/systemd/x", "/etc/x", "/var/lib/x"]) {
      const other = await inUnit(machine, `: >${path}`);
      assertMatch(other.stderr, /Read-only file system/, path);
    }
  }
});

Deno.test("under its unit an agent reaches no socket that makes it more powerful, nor a home directory", async () => {
  const { machine } = (await world()).host(0);
  for (
    const command of [
      "docker version",
      "busctl list",
      "SYSTEMCTL_FORCE_BUS=0 systemctl list-units",
      "ctr --address=/run/containerd/containerd.sock version",
    ]
  ) {
    assertEquals((await machine.attempt(["sh", "-c", command])).exitCode, 0);
    assertNotEquals((await inUnit(machine, command)).exitCode, 0, command);
  }
  for (const path of ["/root", "/home", "/var/lib/docker", "/etc/ssh"]) {
    await machine.run(["touch", `${path}/file`]);
    assertEquals((await inUnit(machine, `ls -A ${path}`)).stdout, "", path);
  }
});

Deno.test("an agent says at its start that its command for another subnet cannot work under the unit", async () => {
  const { machine } = (await world()).host(0);
  const said = await machine.run([
    ...["journalctl", "--boot", "--no-pager", "--unit=loden.service"],
  ]);
  assertMatch(said, /systemctl try-restart docker.* cannot reach systemd/);
});

Deno.test("a key in a home directory reaches an agent as a credential only", async () => {
  const { machine } = (await world()).host(2);
  const environment = await machine.run([
    "cat",
    `/proc/${await agentOf(machine)}/environ`,
  ]);
  const [, path] = /(?:^|\0)KEY=([^\0]+)/.exec(environment)!;
  assertEquals((await inUnit(machine, `cat ${path}`)).stdout, "a key\n");
  assertNotEquals((await inUnit(machine, `cat ${KEY}`)).exitCode, 0);
});

Deno.test("Docker's options are where Docker's unit looks for them", async () => {
  const { machine } = (await world()).host(0);
  const usual = "/run/flannel_docker_opts.env";
  assertEquals(
    (await machine.run(["readlink", usual])).trim(),
    "flannel/docker_opts.env",
  );
  assertMatch(await machine.readTextFile(usual), /^DOCKER_OPT_BIP=/m);
  assertMatch(await machine.run(["loden", "status"]), /docker +\d+\.\d+\.\d+/);
});

Deno.test("under its unit an agent sets the network's kernel variables when asked to, and can set no others", async () => {
  const { machine } = (await world()).host(1);
  const options = await machine.readTextFile("/etc/default/loden");
  await machine.writeTextFile(
    "/etc/default/loden",
    `${options}FLANNELD_SET_SYSCTLS=true\n`,
  );
  const forwarding = "/proc/sys/net/ipv4/ip_forward";
  await machine.run(["sh", "-c", `echo 0 >${forwarding}`]);
  await machine.run(["systemctl", "restart", "loden.service"]);
  await machine.until(
    "forwarding",
    ["cat", forwarding],
    ({ stdout }) => stdout.trim() === "1",
  );
  const write = await inUnit(machine, "echo 60 >/proc/sys/vm/swappiness");
  assertMatch(write.stderr, /Read-only file system/);
});

Deno.test("under its unit an agent can read and set the packet steering of the overlay device", async () => {
  const { machine } = (await world()).host(1);
  const file = "/sys/class/net/flannel0/queues/rx-0/rps_cpus";
  // In a container systemd leaves /sys writable: that the unit asks for it is not
  // proved here.
  const set = await inUnit(
    machine,
    `cpus=$(cat ${file}) && echo "$cpus" >${file}`,
  );
  assertEquals([set.exitCode, set.stderr], [0, ""]);
  const status = await machine.run(["loden", "status"]);
  assertMatch(status, /flows on: where they arrive/);
});

Deno.test("a machine that is stopped leaves nothing in its network, a restart of its agent does", async () => {
  const all = await world();
  const { host: { namespace }, machine } = all.host(1);
  const ours = async () => {
    const links = await namespace.run(["ip", "-brief", "link"]);
    const rules = await namespace.run(["iptables-save"]);
    return {
      devices: [...links.matchAll(/^flannel\w*/gm)].map(([name]) => name),
      programs: (await placedPrograms(namespace)).map(({ device }) => device),
      chains: [...rules.matchAll(/^:FLANNEL-\w+/gm)].map(([name]) => name),
    };
  };
  await machine.run(["systemctl", "stop", "loden.service"]);
  const left = await ours();
  assert(Object.values(left).every(({ length }) => length > 0), `${left}`);
  await machine.run(["systemctl", "start", "loden.service"]);
  await machine.powerOff();
  assertEquals(await ours(), { devices: [], programs: [], chains: [] });
});
