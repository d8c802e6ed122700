/**
 * What changes under agents that run: the network config in etcd, and a host's
 * underlay. No agent has to be restarted for any of it.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { ping } from "../../bench/measure/ping.ts";
import { EACH_PATH } from "./data_paths.ts";
import { CONFIG, eventually, type Node, restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { QUICK } from "./traffic.ts";

const CONFIG_KEY = "/coreos.com/network/config";
const WIDER = { Network: "10.0.0.0/8" };
const REPAIR_MS = 30_000;
const UNDERLAY_MTU = 1500;
const OVERLAY_MTU = 1472;

const suite = new OverlaySuite("changes while running");

/** What a host says of the published config; nothing when it runs by it. */
async function refusalOf(node: Node): Promise<string> {
  const { warnings } = await statusOf(node);
  return warnings.find(({ code }) => code === "config.refused")?.text ?? "";
}

async function untilEachRefuses(words: RegExp): Promise<void> {
  for (const node of suite.nodes) {
    await eventually(
      `the refusal ${words}`,
      () => refusalOf(node),
      (text) => words.test(text),
      REPAIR_MS,
    );
  }
}

async function untilEach(
  what: string,
  condition: (view: StatusSnapshot) => boolean,
): Promise<void> {
  for (const node of suite.nodes) {
    await eventually(what, () => statusOf(node), condition, REPAIR_MS);
  }
}

async function untilPacketsFlow(): Promise<void> {
  const [first, second] = [suite.node(0), suite.node(1)];
  for (const [from, to] of [[first, second], [second, first]] as const) {
    await eventually(
      "pings that are all answered",
      () => ping(from.container.namespace, to.container.address, QUICK),
      (result) => result.received === result.sent,
      REPAIR_MS,
    );
  }
}

/** Runs `change`; each host has the same agent and subnet afterwards. */
async function withoutRestart(change: () => Promise<void>): Promise<void> {
  const identities = () =>
    Promise.all(suite.nodes.map(async (node) => {
      const { pid, subnet } = await statusOf(node);
      return { pid, subnet };
    }));
  const before = await identities();
  await change();
  assertEquals(await identities(), before);
}

suite.each(EACH_PATH, (test) => {
  test("a config that cannot be taken is refused with its reason, and not a packet is lost", async () => {
    const { rig } = suite;
    await withoutRestart(async () => {
      await using traffic = await SteadyTraffic.start({
        rig,
        from: suite.node(0).container,
        to: suite.node(1).container,
      });
      await rig.publish({ ...CONFIG, SubnetLen: 26 });
      await untilEachRefuses(/SubnetLen must stay 24.*new value is 26/);
      await rig.publish({ ...CONFIG, Backend: { Type: "udp", Port: 8286 } });
      await untilEachRefuses(/Backend\.Port must stay 8285/);
      await rig.publish({ Network: "10.2.0.0/16" });
      await untilEachRefuses(/Network must contain this host's subnet/);
      await rig.etcd.ctl("put", CONFIG_KEY, "{ spoilt");
      await untilEachRefuses(/JSON/);
      await rig.etcd.ctl("del", CONFIG_KEY);
      await untilEachRefuses(/loden config put/);
      await rig.publish(CONFIG);
      await untilEachRefuses(/^$/);
      await traffic.assertNothingLost();
    });
    for (const node of suite.nodes) {
      assertMatch(node.agent.process.log(), /"config\.refused"/);
      assertMatch(node.agent.process.log(), /"config\.accepted"/);
    }
  });

  test("bounds that hold for the next subnet are taken, and not a packet is lost", async () => {
    const { rig } = suite;
    await withoutRestart(async () => {
      await using traffic = await SteadyTraffic.start({
        rig,
        from: suite.node(0).container,
        to: suite.node(1).container,
      });
      await rig.publish({ ...CONFIG, SubnetMax: "10.1.200.0" });
      for (const { agent } of suite.nodes) {
        await agent.process.untilLogged(
          /"config\.changed".*SubnetMax: 10\.1\.255\.0 -> 10\.1\.200\.0/,
          REPAIR_MS,
        );
      }
      await rig.publish(CONFIG);
      await traffic.assertNothingLost();
    });
  });

  test("a wider network reaches status and files, and packets flow", async () => {
    const { rig } = suite;
    await withoutRestart(async () => {
      for (const config of [WIDER, CONFIG]) {
        await rig.publish(config);
        await untilEach(
          config.Network,
          ({ network, lease }) =>
            network === config.Network && lease?.state === "held",
        );
        for (const { agent } of suite.nodes) {
          await eventually(
            "the file",
            () => agent.subnetEnv(),
            (env) => env.FLANNEL_NETWORK === config.Network,
            REPAIR_MS,
          );
        }
        await untilPacketsFlow();
      }
    });
    assertEquals(await refusalOf(suite.node(0)), "");
  });

  for (const promoted of [true, false]) {
    test(
      `a host that is given another address goes on by it, with its subnet, where the kernel ${
        promoted ? "keeps" : "removes"
      } a first address's others`,
      async () => {
        const [moving, other] = [suite.node(0), suite.node(1)];
        const { address, namespace } = moving.host;
        const move = async (from: string, to: string) => {
          await namespace.ip([
            `address add ${to}/24 dev eth0`,
            `address delete ${from}/24 dev eth0`,
          ]);
          if (!promoted) {
            await eventually(
              "a host without an address",
              () => statusOf(moving),
              ({ warnings }) =>
                warnings.some(({ code }) => code === "underlay.missing"),
              REPAIR_MS,
            );
            await namespace.ip([`address add ${to}/24 dev eth0`]);
          }
          await namespace.ip(["route replace default via 192.0.2.1"]);
          await eventually(
            `the underlay at ${to}`,
            () => statusOf(moving),
            ({ underlay, lease, warnings }) =>
              underlay?.address === to && underlay.publicIp === to &&
              lease?.state === "held" && warnings.length === 0,
            REPAIR_MS,
          );
          await eventually(
            `${to} as the only peer`,
            () => statusOf(other),
            ({ peers }) => peers.length === 1 && peers[0]!.publicIp === to,
            REPAIR_MS,
          );
          await untilPacketsFlow();
        };
        await moving.host.promoteSecondaries(promoted);
        try {
          await withoutRestart(async () => {
            await move(address, "192.0.2.111");
            await move("192.0.2.111", address);
          });
        } finally {
          await moving.host.promoteSecondaries(true);
        }
        assertMatch(moving.agent.process.log(), /"underlay\.changed"/);
      },
    );
  }

  test("another MTU of the underlay reaches status, files and the device", async () => {
    const node = suite.node(0);
    const set = async (underlayMtu: number, overlayMtu: number) => {
      await node.host.namespace.ip([`link set eth0 mtu ${underlayMtu}`]);
      await eventually(
        `an overlay of ${overlayMtu} bytes`,
        () => statusOf(node),
        ({ overlay, underlay }) =>
          underlay?.mtuBytes === underlayMtu &&
          overlay?.mtuBytes === overlayMtu,
        REPAIR_MS,
      );
      await eventually(
        "the file",
        () => node.agent.subnetEnv(),
        (env) => env.FLANNEL_MTU === String(overlayMtu),
        REPAIR_MS,
      );
      const device = await node.host.namespace.run(
        ["ip", "-o", "link", "show", "flannel0"],
      );
      assertMatch(device, new RegExp(`mtu ${overlayMtu}\\b`));
      await untilPacketsFlow();
    };
    await withoutRestart(async () => {
      await set(UNDERLAY_MTU - 100, OVERLAY_MTU - 100);
      await set(UNDERLAY_MTU, OVERLAY_MTU);
    });
    assertMatch(node.agent.process.log(), /"overlay\.mtu-changed"/);
  });

  test("an underlay that is given another name is the same one", async () => {
    const node = suite.node(0);
    const rename = async (from: string, to: string) => {
      await node.host.namespace.ip([
        `link set ${from} down`,
        `link set ${from} name ${to}`,
        `link set ${to} up`,
        // The kernel forgets it with the device's state.
        "route replace default via 192.0.2.1",
      ]);
      await eventually(
        `the name ${to}`,
        () => statusOf(node),
        ({ underlay, warnings }) =>
          underlay?.interface === to && warnings.length === 0,
        REPAIR_MS,
      );
      await untilPacketsFlow();
    };
    // It was chosen by its name once, and is not looked for by that again.
    await withoutRestart(async () => {
      await rename("eth0", "uplink");
      await rename("uplink", "eth0");
    });
  });

  test("a host whose underlay has another hardware address stays the host that it was, also after a restart", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    const { stateDirectory } = node.agent.files;
    const saved = async () => {
      const path = `${stateDirectory}/coreos.com-network.json`;
      return JSON.parse(await Deno.readTextFile(path)) as {
        hostId: string;
        underlayMac: string;
      };
    };
    const before = await saved();
    const { subnet } = await statusOf(node);
    const change = async (mac: string) => {
      await namespace.ip([
        "link set eth0 down",
        `link set eth0 address ${mac}`,
        "link set eth0 up",
        "route replace default via 192.0.2.1",
      ]);
      await eventually(
        `the state of ${mac}`,
        saved,
        ({ underlayMac }) => underlayMac === mac,
        REPAIR_MS,
      );
    };
    await change("02:00:5e:00:53:77");
    try {
      await untilPacketsFlow();
      assertEquals(await node.agent.stop(), 0);
      await restart(suite.rig, node);
      assertEquals((await saved()).hostId, before.hostId);
      assertEquals((await statusOf(node)).subnet, subnet);
      await untilPacketsFlow();
    } finally {
      await change(before.underlayMac);
    }
    await untilPacketsFlow();
  });

  test("an underlay that is gone is said until it is back", async () => {
    const node = suite.node(0);
    const { namespace } = node.host;
    const isMissing = ({ warnings }: StatusSnapshot) =>
      warnings.some(({ code }) => code === "underlay.missing");
    await withoutRestart(async () => {
      await namespace.ip(["link set eth0 down"]);
      const { warnings } = await eventually(
        "it",
        () => statusOf(node),
        isMissing,
        REPAIR_MS,
      );
      const { text } = warnings.find(({ code }) =>
        code === "underlay.missing"
      )!;
      await node.agent.process.until(
        "it in STATUS",
        () => node.agent.notifications().at(-1)?.includes(text) ?? false,
        REPAIR_MS,
      );
      await namespace.ip([
        "link set eth0 up",
        // The kernel forgets it with the device's state.
        "route replace default via 192.0.2.1",
      ]);
      await eventually(
        "an end of it",
        () => statusOf(node),
        (view) => !isMissing(view),
        REPAIR_MS,
      );
      await untilPacketsFlow();
    });
  });
});
