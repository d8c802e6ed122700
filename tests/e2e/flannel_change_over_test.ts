/**
 * A host changes from flannel to Loden and back (docs/from-flannel.md) while
 * another host sends to its containers. flannel's state is made by `ip` and
 * `bridge`, as captured from flannel's own daemon: device, neighbour, forwarding
 * entry, route, lease.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { loden } from "../rig/agent.ts";
import type { RigHost } from "../rig/host.ts";
import { Rig } from "../rig/rig.ts";
import { SUBNETS } from "./overlay.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { untilAnswered } from "./traffic.ts";

const INTERVAL_SECONDS = 0.02;
/** One restart: cleanup of one program, start of another. */
const RESTART_MS = 5_000;

const BASE = "10.1.77.0";
const KEY = `${SUBNETS}/10.1.77.0-24`;

interface OtherHost {
  readonly address: string;
  readonly base: string;
  readonly value: Record<string, unknown>;
}

/** How flannel does it. */
interface Flannel {
  readonly mtuBytes: number;
  start(rig: Rig, host: RigHost, other: OtherHost, mac: string): Promise<void>;
}

const FLANNEL: Readonly<Record<string, Flannel>> = {
  vxlan: {
    mtuBytes: 1450,
    async start(rig, { address, namespace }, other, mac) {
      const data = other.value.BackendData as { VtepMAC: string };
      await namespace.ip([
        `link add flannel.1 mtu 1450 address ${mac} type vxlan id 1 dev eth0 local ${address} dstport 8472 nolearning`,
        `address add ${BASE}/32 dev flannel.1`,
        "link set flannel.1 up",
        `neighbour replace ${other.base} lladdr ${data.VtepMAC} dev flannel.1 nud permanent`,
      ]);
      await namespace.run(
        `bridge fdb append ${data.VtepMAC} dev flannel.1 dst ${other.address} self permanent`
          .split(" "),
      );
      await namespace.ip([
        `route replace ${other.base}/24 via ${other.base} dev flannel.1 onlink`,
      ]);
      await putLease(rig, address, {
        BackendType: "vxlan",
        BackendData: { VNI: 1, VtepMAC: mac },
      });
    },
  },
  "host-gw": {
    mtuBytes: 1500,
    async start(rig, { address, namespace }, other) {
      await putLease(rig, address, { BackendType: "host-gw" });
      await namespace.ip([
        `route replace ${other.base}/24 via ${other.address} dev eth0`,
      ]);
    },
  },
};

async function putLease(
  rig: Rig,
  address: string,
  backend: Record<string, unknown>,
): Promise<void> {
  const value = { PublicIP: address, PublicIPv6: null, ...backend };
  await rig.etcd.ctl("put", KEY, JSON.stringify(value));
}

for (const [type, flannel] of Object.entries(FLANNEL)) {
  Deno.test(`a host changes from flannel's ${type} to Loden without losing a packet, and back within a restart`, async () => {
    await using rig = await Rig.create({ hosts: 2 });
    await rig.startEtcd();
    await rig.publish({ Network: "10.1.0.0/16", Backend: { Type: type } });
    const [host, otherHost] = rig.hosts;
    const peer = await rig.startAgent(otherHost!, {});
    await peer.ready();
    const { FLANNEL_SUBNET } = await peer.subnetEnv();
    const base = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0");
    const value = await rig.etcd.ctl(
      "get",
      "--print-value-only",
      `${SUBNETS}/${base}-24`,
    );
    const other = {
      address: otherHost!.address,
      base,
      value: JSON.parse(value),
    };
    const { namespace } = host!;
    await flannel.start(rig, host!, other, "aa:bb:cc:00:00:01");
    const from = await otherHost!.addContainer(await peer.bridge());
    const to = await host!.addContainer({
      bip: "10.1.77.1/24",
      mtuBytes: flannel.mtuBytes,
    });
    await untilAnswered(from.namespace, to.address);

    await using traffic = await SteadyTraffic.start(
      { rig, from, to },
      INTERVAL_SECONDS,
    );
    const agent = await rig.startAgent(host!, {});
    await agent.ready();
    assertEquals((await traffic.soFar()).lost, []);
    const taken = await rig.etcd.ctl("get", "--print-value-only", KEY);
    assertMatch(taken, /"LodenHostId"/);
    if (type === "vxlan") assertMatch(taken, /"VtepMAC":"aa:bb:cc:00:00:01"/);
    const { warnings } = await agent.status();
    assertEquals(warnings.map(({ code }) => code), []);

    assertEquals(await agent.stop(), 0);
    const { exitCode, stderr } = await loden(namespace, [
      "cleanup",
      `--run-dir=${agent.files.runDirectory}`,
    ]);
    assertEquals(exitCode, 0, stderr);
    await flannel.start(rig, host!, other, "aa:bb:cc:00:00:02");
    await traffic.soFar();
    const { lost } = await traffic.finish();
    const outageMs = lost.length * INTERVAL_SECONDS * 1_000;
    assert(outageMs < RESTART_MS, `${outageMs} ms without packets`);
  });
}
