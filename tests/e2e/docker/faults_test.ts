/**
 * Docker hosts on which things come in the wrong order, or from elsewhere: two
 * machines, on which Loden is installed after Docker has been in use.
 *
 * The tests go on from one another: the hosts boot once.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { BootedHost } from "../../rig/booted/booted_host.ts";
import { CONFIG, eventually } from "../overlay.ts";
import { assertPings, untilAnswered } from "../traffic.ts";
import { DockerWorld, enableLoden, setOptions } from "./docker_world.ts";

const WAIT_MS = 30_000;
const UNIT = "loden.service";
const DAEMON_CONFIG = "/etc/docker/daemon.json";
const OPTIONS_FILE = "/run/flannel_docker_opts.env";
/** Addresses of the overlay without a lease. */
const FOREIGN_BRIDGE = "10.1.255.1/24";
const FOREIGN_SUBNET = "10.1.254.0/24";

let booted: Promise<DockerWorld> | undefined;

/** Docker runs on both, on addresses of its own; Loden has never run. */
function world(): Promise<DockerWorld> {
  return booted ??= DockerWorld.boot({
    hosts: 2,
    prepare: async (host, rig) => {
      const { machine } = host;
      await enableLoden(host, rig, {});
      await machine.disable(UNIT);
      if (host.host === rig.host(1)) {
        await machine.writeTextFile(
          DAEMON_CONFIG,
          JSON.stringify({ bip: FOREIGN_BRIDGE, mtu: 1400 }),
        );
      }
    },
  });
}

Deno.test.afterAll(async () => {
  // What did not start has failed its tests already.
  const [result] = await Promise.allSettled([booted]);
  if (result.status === "fulfilled") {
    await result.value?.[Symbol.asyncDispose]();
  }
});

async function warnings(index: number): Promise<string[]> {
  const { warnings } = await (await world()).status(index);
  return warnings.map(({ code, text }) => `${code}: ${text}`);
}

/** Waits for the only warning, which must be of this code. */
async function untilWarned(index: number, code: string): Promise<string> {
  const [warning] = await eventually(
    `the warning ${code}`,
    () => warnings(index),
    ([first, ...more]) =>
      first?.startsWith(`${code}:`) && more.length === 0 ||
      false,
    WAIT_MS,
  );
  return warning!;
}

function untilNothingIsWrong(index: number): Promise<string[]> {
  return eventually(
    "no warning",
    () => warnings(index),
    (found) => found.length === 0,
    WAIT_MS,
  );
}

/** What a start leaves on a host, by its kernel and its files. */
async function traces(machine: BootedHost): Promise<string> {
  return await machine.run([
    "sh",
    "-c",
    "ip -brief link | grep ^flannel; ip route | grep 10.1.0.0; " +
    "iptables-save | grep -e FLANNEL -e LODEN; " +
    `ls -L /run/flannel/subnet.env ${OPTIONS_FILE} 2>/dev/null; true`,
  ]);
}

Deno.test("a unit that is stopped while it waits ends well, and leaves nothing", async () => {
  const all = await world();
  const { machine } = all.host(0);
  const stopWhileJoining = async () => {
    await machine.run(["systemctl", "start", "--no-block", UNIT]);
    await machine.until(
      "a start that waits for etcd",
      ["systemctl", "show", "--property=StatusText", UNIT],
      ({ stdout }) => /etcd|config/.test(stdout),
    );
    await machine.run(["systemctl", "stop", UNIT]);
    const shown = await machine.run([
      "systemctl",
      "show",
      "--property=ActiveState,Result,ExecMainStatus",
      UNIT,
    ]);
    assertEquals(shown.trim().split("\n").sort(), [
      "ActiveState=inactive",
      "ExecMainStatus=0",
      "Result=success",
    ]);
    assertEquals(await traces(machine), "");
  };
  // First no listener, then one that does not answer.
  await stopWhileJoining();
  const etcd = await all.rig.startEtcd();
  await all.rig.publish(CONFIG);
  etcd.pause();
  try {
    await stopWhileJoining();
  } finally {
    etcd.resume();
  }
});

Deno.test("a Docker that was there before Loden is on another subnet: that is said, and the command that is offered mends it", async () => {
  const all = await world();
  const { machine } = all.host(0);
  await machine.untilUnit("docker.service", "active");
  await machine.run(["systemctl", "enable", "--now", UNIT]);
  const warning = await untilWarned(0, "docker.bridge-elsewhere");
  assertMatch(warning, /docker0 172\.17\.0\.1\/16/);
  assertMatch(warning, new RegExp((await all.subnet(0)).replace("/", "\\/")));
  assertMatch(warning, /systemctl restart docker/);
  await machine.run(["systemctl", "restart", "docker"]);
  await all.assertBridge(0);
  await untilNothingIsWrong(0);
});

Deno.test("a docker0 on addresses of the overlay that are not the lease's: that is said, with the option that makes it so", async () => {
  const all = await world();
  const { machine } = all.host(1);
  await machine.untilUnit("docker.service", "active");
  await machine.run(["systemctl", "enable", "--now", UNIT]);
  const warning = await untilWarned(1, "docker.bridge-foreign");
  assertMatch(warning, /docker0 10\.1\.255\.1\/24/);
  assertMatch(
    warning,
    /remove "bip" and "mtu" from \/etc\/docker\/daemon\.json, then systemctl restart docker/,
  );
  await machine.run(["rm", DAEMON_CONFIG]);
  await machine.run(["systemctl", "restart", "docker"]);
  await all.assertBridge(1);
  await untilNothingIsWrong(1);
});

Deno.test("after that, containers of both reach each other", async () => {
  const all = await world();
  await all.startContainers();
  await all.untilJoined();
  const [one, two] = [await all.container(0), await all.container(1)];
  await untilAnswered(one.namespace, two.address);
  await assertPings(one.namespace, two.address);
  await assertPings(two.namespace, one.address);
});

Deno.test("a network of Docker's within the overlay is named, with the command that removes it", async () => {
  const all = await world();
  const { machine } = all.host(0);
  const make = ["docker", "network", "create", `--subnet=${FOREIGN_SUBNET}`];
  await machine.run([...make, "astray"]);
  const warning = await untilWarned(0, "docker.bridge-foreign");
  const [command] = /docker network rm [0-9a-f]{12}/.exec(warning)!;
  await machine.run(command.split(" "));
  await untilNothingIsWrong(0);
});

Deno.test("an options file that another program left is reported, and the suggested command renews it", async () => {
  const all = await world();
  const { machine } = all.host(1);
  await machine.run(["systemctl", "stop", UNIT]);
  const stale = 'DOCKER_OPT_BIP="--bip=10.1.253.1/24"\n';
  const leaveStale = () =>
    machine.run(["sh", "-c", `printf '%s' '${stale}' >${OPTIONS_FILE}`]);

  await leaveStale();
  await machine.run(["systemctl", "start", UNIT]);
  assertMatch(
    await machine.readTextFile(OPTIONS_FILE),
    new RegExp((await all.subnet(1)).replace(/\.0\/.*/, "\\.1/")),
    "an agent that writes the file renews it by itself",
  );

  const options = await machine.readTextFile("/etc/default/loden");
  await machine.run(["systemctl", "stop", UNIT]);
  await setOptions(machine, {
    ...Object.fromEntries(
      options.trim().split("\n").map((line) => line.split(/=(.*)/s)),
    ),
    // An empty variable would count as none.
    FLANNELD_DOCKER_OPTS_FILE: "/dev/null",
  });
  await leaveStale();
  await machine.run(["systemctl", "start", UNIT]);
  const warning = await untilWarned(1, "docker.options-stale");
  assertMatch(warning, /--bip=10\.1\.253\.1\/24/);
  const [command] = /loden docker-opts [^)"]*\.env/.exec(warning)!;
  await machine.run(command.split(" "));
  await untilNothingIsWrong(1);
});

Deno.test("a flanneld that runs is named by the unit, which starts when that has ended", async () => {
  const all = await world();
  const { machine } = all.host(1);
  // With all the rights that the unit's own agent has not.
  await machine.run([
    ...["systemd-run", "--unit=older", "bash", "-c"],
    "cp /usr/bin/sleep /opt/flanneld && exec /opt/flanneld 600",
  ]);
  await machine.until(
    "the name of the program",
    ["systemctl", "status", "older.service"],
    ({ stdout }) => /\d \/opt\/flanneld 600/.test(stdout),
  );
  await machine.attempt(["systemctl", "restart", "--no-block", UNIT]);
  await machine.until(
    "an agent that was refused",
    ["systemctl", "show", "--property=ExecMainStatus", "--value", UNIT],
    ({ stdout }) => stdout.trim() === "4",
  );
  assertMatch(
    await machine.journal(UNIT),
    /process \d+ is flanneld and also uses the subnet file/,
  );
  await machine.run(["systemctl", "stop", "older.service"]);
  await machine.untilUnit(UNIT, "active");
});

Deno.test("a host without Docker has its network, and no warning", async () => {
  const all = await world();
  const { machine } = all.host(1);
  await machine.run(["systemctl", "disable", "--now", "docker.socket"]);
  await machine.run(["systemctl", "disable", "--now", "docker.service"]);
  await machine.reboot();
  await machine.untilUnit(UNIT, "active");
  const { docker, ready, warnings } = await all.status(1);
  assertEquals({ docker, ready, warnings }, {
    docker: null,
    ready: true,
    warnings: [],
  });
  await assertPings(
    all.host(1).host.namespace,
    (await all.container(0)).address,
  );
});
