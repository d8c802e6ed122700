/**
 * What the kernel data path leaves in the kernel, and what others do to it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { loden } from "../rig/agent.ts";
import {
  nameOf,
  objectsOf,
  type PlacedProgram,
  placedPrograms,
} from "../rig/bpf_objects.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { KERNEL_PATH, type Setup } from "./data_paths.ts";
import { eventually, type Node, restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, assertTcp, untilAnswered } from "./traffic.ts";

/** The kernel frees them when no processor can be in them: on a busy machine, later. */
const GONE_MS = 30_000;
const REPAIR_MS = 15_000;
/**
 * Pings, 5 ms apart. Whenever a `clsact` comes or goes, the kernel drops what its
 * device would send for some milliseconds (`qdisc_graft` in net/sched/sch_api.c
 * calls `dev_deactivate`): three devices, twice. Programs that were missing until
 * an agent has started, twice, would cost more.
 */
const LOST_WITH_CLSACT = 60;
const RECEIVE_MODES = ["gro", "xdp", "direct", "auto"];

const suite = new OverlaySuite("kernel objects");

const ends = () => ({
  rig: suite.rig,
  from: suite.node(0).container,
  to: suite.node(1).container,
});

/** Stops a node's agent and starts it with more flags. */
async function restartWith(
  node: Node,
  flags: readonly string[] = [],
): Promise<void> {
  await node.agent.stop();
  await restart(suite.rig, node, flags);
}

/** The project's own programs at the devices of a namespace. */
async function ownPrograms(
  namespace: NetNamespace,
): Promise<(PlacedProgram & { readonly name: string })[]> {
  const placed = await placedPrograms(namespace);
  const named = await Promise.all(placed.map(async (each) => ({
    ...each,
    name: await nameOf({ kind: "prog", id: each.id }) ?? "",
  })));
  return named.filter(({ name }) => name.startsWith("loden_"));
}

/** Where each program is, without its number. */
async function places(namespace: NetNamespace): Promise<string[]> {
  return (await ownPrograms(namespace))
    .map(({ device, hook, name }) => `${device} ${hook} ${name}`).sort();
}

/** Puts another tool's program somewhere. @returns its number. */
async function putForeign(
  namespace: NetNamespace,
  device: string,
  hook: "xdp" | "ingress" | "egress",
): Promise<number> {
  return Number(
    await namespace.run(program("foreign_program.ts", device, hook)),
  );
}

async function cleanUp(node: Node, ...flags: string[]): Promise<string> {
  const { exitCode, stderr, stdout } = await loden(node.host.namespace, [
    "cleanup",
    `--run-dir=${node.agent.files.runDirectory}`,
    ...flags,
  ]);
  assertEquals(exitCode, 0, stderr);
  return stdout;
}

async function untilAllIsWell(): Promise<void> {
  const { from, to } = ends();
  await untilAnswered(from.namespace, to.address, REPAIR_MS);
  await assertPings(from.namespace, to.address);
  await assertTcp(ends(), 20);
}

suite.each(KERNEL_PATH, (test, setup: Setup) => {
  for (const attach of ["as the kernel likes best", "by clsact"]) {
    const flags = attach === "by clsact" ? ["--disable-feature=tcx"] : [];

    test(`attached ${attach}: cleanup leaves no program, map, device, route or qdisc, and says first what it would remove`, async () => {
      for (const node of suite.nodes) await restartWith(node, flags);
      await untilAllIsWell();
      for (const node of suite.nodes) {
        const { namespace } = node.host;
        const own = await ownPrograms(namespace);
        assert(own.length >= 3, JSON.stringify(own));
        assertEquals(
          own.some(({ hook }) => hook.startsWith("clsact")),
          flags.length > 0,
          JSON.stringify(own),
        );
        const objects = await objectsOf(own);
        assert(objects.some(({ kind }) => kind === "map"));
        await node.agent.stop();
        const announced = await cleanUp(node, "--dry-run");
        assertEquals(await places(namespace), own.map(placeOf).sort());
        const removed = await cleanUp(node);
        assertEquals(
          removed.replaceAll(/^removed /gm, ""),
          announced.replaceAll(/^would remove /gm, ""),
        );
        await assertNothingLeft(namespace);
        for (const object of objects) {
          await eventually(
            `the end of ${object.kind} ${object.id}`,
            () => nameOf(object),
            (name) => name === undefined,
            GONE_MS,
          );
        }
        await restart(suite.rig, node);
      }
      await untilAllIsWell();
    });
  }

  test("a restart leaves one program at each place, and none of the old ones anywhere", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    const before = await ownPrograms(namespace);
    const objects = await objectsOf(before);
    await restartWith(node, ["--ebpf-receive=gro"]);
    const after = await ownPrograms(namespace);
    assertEquals(after.map(placeOf).sort(), before.map(placeOf).sort());
    const still = new Set(
      (await objectsOf(after)).map(({ kind, id }) => `${kind} ${id}`),
    );
    for (const object of objects) {
      if (still.has(`${object.kind} ${object.id}`)) continue;
      await eventually(
        `the end of ${object.kind} ${object.id}`,
        () => nameOf(object),
        (name) => name === undefined,
        GONE_MS,
      );
    }
    await restartWith(node);
  });

  test("no packet is lost when the receive mode is changed by a restart, and status names it", async () => {
    await using traffic = await SteadyTraffic.start(ends());
    for (const mode of RECEIVE_MODES) {
      await restartWith(suite.node(1), [`--ebpf-receive=${mode}`]);
      if (mode === "auto") continue;
      assertMatch(
        JSON.stringify(await statusOf(suite.node(1))),
        new RegExp(`"[^"]*receive[^"]*":"${mode}`, "i"),
      );
    }
    await traffic.assertNothingLost();
  });

  test("a restart attaches programs differently: the stream continues, and nothing of the former hooks stays", async () => {
    const node = suite.node(0);
    await using traffic = await SteadyTraffic.start(ends());
    for (const flags of [["--disable-feature=tcx"], []]) {
      await restartWith(node, flags);
      const own = await ownPrograms(node.host.namespace);
      const isTcx = own.map(({ hook }) => hook.startsWith("tcx"));
      assertEquals(new Set(isTcx), new Set([flags.length === 0]));
    }
    const { lost } = await traffic.finish();
    assert(lost.length <= LOST_WITH_CLSACT, `lost: ${lost.join(" ")}`);
    const queues = await node.host.namespace.run(["tc", "qdisc", "show"]);
    assert(!/clsact/.test(queues), queues);
  });

  test("programs that another program detaches are attached again, with a line in the log", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    await restartWith(node, ["--ebpf-receive=xdp"]);
    const before = await places(namespace);
    for (const { device, hook } of await ownPrograms(namespace)) {
      const said = node.agent.process.log().length;
      await takeAway(namespace, device, hook);
      await eventually(
        `what was at ${device} ${hook}`,
        () => places(namespace),
        (now) => now.join() === before.join(),
        REPAIR_MS,
      );
      await untilAllIsWell();
      assertMatch(
        node.agent.process.log().slice(said),
        /"level":"(warn|warning|error)"/,
      );
    }
    await restartWith(node);
  });

  for (
    const [what, command] of [
      [
        "the far end of the overlay device is deleted",
        "ip link delete flannel0p",
      ],
      [
        "the far end of the overlay device is set down",
        "ip link set flannel0p down",
      ],
      [
        "the overlay device has lost its address",
        "ip address flush dev flannel0",
      ],
      ["the overlay device has lost its routes", "ip route flush dev flannel0"],
      ["the overlay device has another MTU", "ip link set flannel0 mtu 576"],
      [
        "the overlay device has another hardware address",
        "ip link set flannel0 address 02:00:5e:00:53:10",
      ],
      [
        "the far end of the overlay device has another hardware address",
        "ip link set flannel0p address 02:00:5e:00:53:11",
      ],
      ["the overlay device merges nothing", "ethtool -K flannel0 gro off"],
      [
        "the overlay device leaves checksums and cutting to others",
        "ethtool -K flannel0 tx on tx-udp-segmentation on tso on",
      ],
    ] as const
  ) {
    test(`packets flow again after ${what}, with a line in the log`, async () => {
      const node = suite.node(0);
      const said = node.agent.process.log().length;
      await node.host.namespace.run(command.split(" "));
      await node.agent.process.until(
        "a warning",
        () =>
          /"level":"(warn|warning|error)"/.test(
            node.agent.process.log().slice(said),
          ),
        REPAIR_MS,
      );
      await untilAllIsWell();
    });
  }

  test("programs of others stay where they are, in their order, through start, restart and cleanup", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    await node.agent.stop();
    await cleanUp(node);
    const early = await putForeign(namespace, "eth0", "ingress");
    await restart(suite.rig, node);
    const late = await putForeign(namespace, "eth0", "ingress");
    await restartWith(node, ["--sender-check=count"]);
    await untilAllIsWell();
    const atIngress = async () =>
      (await placedPrograms(namespace))
        .filter(({ device, hook }) =>
          device === "eth0" && hook.endsWith("/ingress")
        ).map(({ id }) => id);
    const ids = await atIngress();
    assertEquals(ids.filter((id) => id === early || id === late), [
      early,
      late,
    ]);
    assertEquals(ids.length, 3);
    await node.agent.stop();
    await cleanUp(node);
    assertEquals(await atIngress(), [early, late]);
    for (const _ of [early, late]) {
      await takeAway(namespace, "eth0", "tcx/ingress");
    }
    await restart(suite.rig, node);
    await untilAllIsWell();
  });

  test("another tool's XDP program stays, packets use another receive mode, and log and status say why", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    await node.agent.stop();
    await cleanUp(node);
    const foreign = await putForeign(namespace, "eth0", "xdp");
    await restart(suite.rig, node, ["--ebpf-receive=xdp"]);
    await untilAllIsWell();
    const xdp = (await placedPrograms(namespace))
      .filter(({ hook }) => hook.startsWith("xdp"));
    assertEquals(xdp.map(({ id }) => id), [foreign]);
    assertMatch(node.agent.process.log(), /XDP/i);
    assertMatch(JSON.stringify(await statusOf(node)), /XDP/i);
    await node.agent.stop();
    await cleanUp(node);
    assertEquals(
      (await placedPrograms(namespace)).map(({ id }) => id),
      [foreign],
    );
    await namespace.ip(["link set eth0 xdp off"]);
    await restart(suite.rig, node);
    await untilAllIsWell();
  });

  test("a host changes from one data path to the other and back, with the same subnet and device name", async () => {
    const node = suite.node(0);
    const subnet = await node.agent.subnetEnv();
    for (const dataPath of ["tun", "ebpf", "tun", "ebpf"]) {
      await restartWith(node, [`--datapath=${dataPath}`]);
      await untilAllIsWell();
      const { backend } = await statusOf(node);
      assertEquals(backend?.dataPath, dataPath);
      assertEquals(backend?.device, "flannel0");
      assertEquals(await node.agent.subnetEnv(), subnet);
      const own = await ownPrograms(node.host.namespace);
      assertEquals(own.length > 0, dataPath === "ebpf", JSON.stringify(own));
    }
  });

  test("cleanup after a change to the user-space data path leaves nothing of the kernel's", async () => {
    const node = suite.node(0);
    await restartWith(node, ["--datapath=tun"]);
    await node.agent.stop();
    await cleanUp(node);
    await assertNothingLeft(node.host.namespace);
    await restart(suite.rig, node);
    await untilAllIsWell();
    assertEquals(setup.traits.flowsWithoutAgent, true);
  });
});

function placeOf(
  { device, hook, name }: PlacedProgram & { readonly name: string },
): string {
  return `${device} ${hook} ${name}`;
}

async function assertNothingLeft(namespace: NetNamespace): Promise<void> {
  assertEquals(await placedPrograms(namespace), []);
  const links = await namespace.run(["ip", "-details", "link", "show"]);
  assert(!/flannel0|loden:/.test(links), links);
  const routes = await namespace.run(["ip", "route", "show", "table", "all"]);
  assert(!/\b10\.1\.0\.0\/16|flannel0/.test(routes), routes);
  const queues = await namespace.run(["tc", "qdisc", "show"]);
  assert(!/clsact/.test(queues), queues);
}

/** As an administrator would, with the tools at hand. */
async function takeAway(
  namespace: NetNamespace,
  device: string,
  hook: string,
): Promise<void> {
  if (hook.startsWith("xdp")) {
    await namespace.ip([`link set ${device} xdp off`]);
  } else if (hook.startsWith("clsact")) {
    await namespace.run(["tc", "qdisc", "delete", "dev", device, "clsact"]);
  } else {
    const attachType = hook.replace("/", "_");
    await namespace.run([
      ...["bpftool", "net", "detach", attachType, "dev", device],
    ]);
  }
}
