/**
 * The life of the Debian package on two booted hosts: installed, upgraded under
 * traffic, removed, purged.
 *
 * The tests go on from one another, as a package's life does.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { StatusSnapshot } from "../../../agent/status/status_snapshot.ts";
import { makeDist } from "../../../tools/dist/make_dist.ts";
import { VERSION } from "../../../version.ts";
import { BootedHost } from "../../rig/booted/booted_host.ts";
import { installLoden } from "../../rig/booted/installation.ts";
import { ensureRootImage } from "../../rig/booted/root_image.ts";
import { placedPrograms } from "../../rig/bpf_objects.ts";
import { run } from "../../../tools/command.ts";
import type { Container } from "../../rig/container.ts";
import { Rig } from "../../rig/rig.ts";
import { binaryIn } from "../../support/binary.ts";
import { story } from "../../support/story.ts";
import { CONFIG, eventually } from "../overlay.ts";
import { SteadyTraffic } from "../steady_traffic.ts";

/** A second one on the same host, by an agent that has no unit. */
const OTHER_PREFIX = "/other/net-work";
const OTHER_CONFIG = {
  Network: "10.2.0.0/16",
  Backend: { Type: "udp", Port: 8286 },
};
const NEXT_VERSION = `${VERSION}+next`;
const PING_INTERVAL_SECONDS = 0.02;
const OPTIONS_FILE = "/etc/default/loden";
/** They leave traces too. */
const OTHER_UNITS = ["docker.service", "docker.socket", "containerd.service"];
/**
 * What is only the machine's own, or changes while it runs. The lock belongs to
 * iptables, whatever program makes it.
 */
const NOT_LODENS =
  /^\/((proc|sys|dev|tmp|run\/(systemd|udev|log)|var\/log|var\/cache|var\/lib\/(dpkg|systemd))\/|run\/(xtables\.lock|containerd)$)/;

interface World extends AsyncDisposable {
  readonly rig: Rig;
  readonly machines: readonly BootedHost[];
  /** Two versions, with the same program. */
  readonly packages: { readonly first: string; readonly next: string };
  /** What each machine was before. */
  readonly before: readonly Traces[];
}

/** What a package can leave behind. */
interface Traces {
  readonly files: readonly string[];
  readonly devices: string;
  readonly routes: string;
  readonly rules: readonly string[];
  readonly programs: number;
}

const test = story();

let booted: Promise<World> | undefined;

function world(): Promise<World> {
  return booted ??= boot();
}

async function boot(): Promise<World> {
  const image = await ensureRootImage();
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await Rig.create({ hosts: 2 }));
  const machines: BootedHost[] = [];
  for (const host of rig.hosts) {
    const machine = cleanup.use(await BootedHost.create(host, { image }));
    for (const unit of OTHER_UNITS) await machine.disable(unit);
    machines.push(machine);
  }
  const packages = await makePackages(rig.directory);
  await Promise.all(machines.map((machine) => machine.boot()));
  const before: Traces[] = [];
  for (const machine of machines) before.push(await tracesOn(machine));
  const disposal = cleanup.move();
  return {
    rig,
    machines,
    packages,
    before,
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

async function makePackages(directory: string): Promise<World["packages"]> {
  const out = `${directory}/packages`;
  const [name] = await makeDist({
    binary: await binaryIn(directory),
    formats: ["deb"],
    runtime: "recovered",
    out,
  });
  const first = `${out}/${name}`;
  const next = `${out}/next.deb`;
  const tree = `${out}/next`;
  await run(["dpkg-deb", "-R", first, tree]);
  const control = await Deno.readTextFile(`${tree}/DEBIAN/control`);
  await Deno.writeTextFile(
    `${tree}/DEBIAN/control`,
    control.replace(/^Version: .*$/m, `Version: ${NEXT_VERSION}`),
  );
  await run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, next]);
  await Deno.remove(tree, { recursive: true });
  return { first, next };
}

async function tracesOn(machine: BootedHost): Promise<Traces> {
  const { namespace } = machine.host;
  const files = await machine.run(["find", "/", "-xdev", "-print"]);
  const runtime = await machine.run(["find", "/run", "-print"]);
  const [devices, routes, rules, nftables] = await Promise.all([
    namespace.run(["ip", "-brief", "link"]),
    namespace.run(["ip", "route", "show", "table", "all", "type", "unicast"]),
    namespace.run(["iptables-save"]),
    namespace.run(["nft", "list", "tables"]),
  ]);
  return {
    files: `${files}${runtime}`.trimEnd().split("\n")
      .filter((path) => !NOT_LODENS.test(path)).sort(),
    devices: devices.replaceAll(/@\S+/g, ""),
    routes,
    // iptables leaves its empty tables behind whenever it is called.
    rules: `${rules}${nftables}`.split("\n").filter((line) =>
      /^-A|^table (?!ip6? (filter|mangle|nat|raw)$)/.test(line)
    ),
    programs: (await placedPrograms(namespace)).length,
  };
}

Deno.test.afterAll(async () => {
  // What did not start has failed its tests already.
  const [result] = await Promise.allSettled([booted]);
  if (result.status === "fulfilled") {
    await result.value?.[Symbol.asyncDispose]();
  }
});

async function statusOf(machine: BootedHost): Promise<StatusSnapshot> {
  return JSON.parse(await machine.run(["loden", "status", "--json"]));
}

/** A host as an end of traffic, by its address in the overlay. */
async function endOf(machine: BootedHost): Promise<Container> {
  const { overlay, subnet } = await statusOf(machine);
  const [address] = subnet!.split("/");
  return {
    namespace: machine.host.namespace,
    address: address!,
    mtuBytes: overlay!.mtuBytes,
  };
}

test("beside a running flanneld.service, the package is unpacked and waits to be configured", async () => {
  const { machines: [machine], packages } = await world();
  const unit = "/usr/lib/systemd/system/flanneld.service";
  await machine!.writeTextFile(
    unit,
    "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
  );
  await machine!.run(["systemctl", "enable", "--now", "flanneld.service"]);
  await assertRejects(
    () => installLoden(machine!, { debianPackage: packages.first }),
    Error,
    "systemctl disable --now flanneld",
  );
  const active = ["systemctl", "is-active", "flanneld.service"];
  assertEquals(await machine!.run(active), "active\n");
  const enabled = ["systemctl", "is-enabled", "loden.service"];
  assertEquals((await machine!.attempt(enabled)).stdout, "disabled\n");
  await machine!.run(["systemctl", "disable", "--now", "flanneld.service"]);
  await machine!.run(["rm", unit]);
  await machine!.run(["dpkg", "--configure", "loden"]);
});

test("an installation ends without waiting for etcd; the agent is enabled and waits", async () => {
  const { machines, packages } = await world();
  for (const machine of machines) {
    await installLoden(machine, { debianPackage: packages.first });
    await machine.untilUnit("loden.service", "activating");
    for (const unit of ["loden", "flanneld", "loden-cleanup"]) {
      const said = await machine.attempt(["systemctl", "is-enabled", unit]);
      assertMatch(said.stdout, /^(enabled|alias)$/m, unit);
    }
    await machine.untilUnit("loden-cleanup.service", "active");
    const flanneld = await machine.attempt(["flanneld", "--version"]);
    assertEquals(flanneld.stderr.split("\n")[0], VERSION);
  }
});

test("with the settings in its file and an etcd it runs, in the kernel", async () => {
  const { machines, rig } = await world();
  await rig.startEtcd();
  await rig.publish(CONFIG);
  for (const machine of machines) {
    await machine.writeTextFile(
      OPTIONS_FILE,
      `FLANNELD_ETCD_ENDPOINTS=${rig.etcdEndpoint}\n` +
        "FLANNELD_IFACE=eth0\nFLANNELD_DATAPATH=ebpf\n",
    );
    await machine.run(["systemctl", "restart", "loden.service"]);
    await machine.untilUnit("loden.service", "active");
  }
  for (const machine of machines) {
    const { backend } = await eventually(
      "a peer",
      () => statusOf(machine),
      ({ peers }) => peers.length === 1,
    );
    assertEquals(backend?.dataPath, "ebpf");
  }
});

test("an upgrade loses no packet, keeps the settings, and leaves the new agent running", async () => {
  const { machines, packages, rig } = await world();
  const [from, to] = await Promise.all(machines.map(endOf));
  await using traffic = await SteadyTraffic.start(
    { rig, from: from!, to: to! },
    PING_INTERVAL_SECONDS,
  );
  for (const machine of machines) {
    const { pid } = await statusOf(machine);
    await installLoden(machine, { debianPackage: packages.next });
    const query = ["dpkg-query", "--show", "--showformat=${Version}", "loden"];
    assertEquals(await machine.run(query), NEXT_VERSION);
    await eventually(
      "the new agent",
      () => machine.attempt(["loden", "status", "--json"]),
      ({ exitCode, stdout }) =>
        exitCode === 0 && JSON.parse(stdout).pid !== pid,
    );
    assertMatch(await machine.readTextFile(OPTIONS_FILE), /DATAPATH=ebpf/);
    const failed = ["systemctl", "list-units", "--failed", "--plain", "-q"];
    assertEquals(await machine.run(failed), "");
  }
  await traffic.assertNothingLost();
});

test("an upgrade leaves an agent that is disabled and stopped as it is", async () => {
  const { machines, packages } = await world();
  const machine = machines[1]!;
  await machine.run(["systemctl", "disable", "--now", "loden.service"]);
  await installLoden(machine, { debianPackage: packages.first });
  assertEquals(
    (await machine.attempt(["systemctl", "is-active", "loden"])).stdout.trim(),
    "inactive",
  );
  await machine.run(["systemctl", "enable", "--now", "loden.service"]);
  await machine.untilUnit("loden.service", "active");
});

test("a removal takes all networks down and keeps settings and identity", async () => {
  const { before, machines, rig } = await world();
  await rig.publish(OTHER_CONFIG, OTHER_PREFIX);
  await machines[0]!.run([
    ...["systemd-run", "--unit=other", "--service-type=notify", "loden"],
    `--etcd-endpoints=${rig.etcdEndpoint}`,
    `--etcd-prefix=${OTHER_PREFIX}`,
    ...["--iface=eth0", "--datapath=ebpf", "--docker-opts-file="],
    "--subnet-file=/run/flannel/other.env",
  ]);
  await machines[0]!.run(["systemctl", "stop", "other"]);
  for (const [index, machine] of machines.entries()) {
    const during = await tracesOn(machine);
    assertMatch(during.devices, /^flannel0 /m);
    assert(during.programs > 0);
    assert(during.rules.some((rule) => rule.includes("FLANNEL-FWD")));
    await machine.run(["dpkg", "--remove", "loden"]);
    const { files, ...left } = await tracesOn(machine);
    const { files: _, ...were } = before[index]!;
    assertEquals(left, were);
    assert(files.includes(OPTIONS_FILE));
    assert(files.some((path) => path.startsWith("/var/lib/loden/")));
  }
});

test("a purge leaves nothing", async () => {
  const { before, machines } = await world();
  for (const [index, machine] of machines.entries()) {
    await machine.run(["dpkg", "--purge", "loden"]);
    const { files } = await tracesOn(machine);
    const were = new Set(before[index]!.files);
    assertEquals(files.filter((path) => !were.has(path)), []);
    const query = ["dpkg-query", "--show", "loden"];
    assertEquals((await machine.attempt(query)).exitCode, 1);
  }
});
