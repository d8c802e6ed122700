/**
 * An agent in a cluster of ten thousand hosts: what is in etcd is what its kernel
 * holds, and a change is a change there.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { decodePeer, MAPS, subnetOfKey } from "../../backend/udp/ebpf/maps.ts";
import { PREFIX, program } from "../../bench/control/measure_agent.ts";
import { encodeLeaseValue, leaseName } from "../../lease/lease_codec.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { Agent } from "../rig/agent.ts";
import { nameOf, objectsOf, placedPrograms } from "../rig/bpf_objects.ts";
import { run } from "../../tools/command.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig } from "../rig/rig.ts";
import {
  attributesOfHost,
  MANY_LEASES_NETWORK,
  subnetOfHost,
} from "../support/many_leases.ts";
import { eventually } from "./overlay.ts";

const HOSTS = 10_000;
const READY_MS = 60_000;

/** Holders by subnet, as text. */
type Holders = Record<string, string>;

/** Of the leases that `write_leases.ts` has written. */
function written(): Holders {
  return Object.fromEntries(
    Array.from({ length: HOSTS }, (_, host) => [
      formatCidr(subnetOfHost(host)),
      formatIpv4(attributesOfHost(host).publicIp),
    ]),
  );
}

async function shown(agent: Agent): Promise<StatusSnapshot["peers"]> {
  return (await agent.status()).peers;
}

function holdersOf(peers: StatusSnapshot["peers"]): Holders {
  return Object.fromEntries(
    peers.map(({ subnet, publicIp }) => [subnet, publicIp]),
  );
}

/** The programs' own map of peers, read by bpftool. */
async function inKernel(namespace: NetNamespace): Promise<Holders> {
  const objects = await objectsOf(
    (await placedPrograms(namespace)).filter(({ device }) =>
      device === "flannel0"
    ),
  );
  for (const object of objects) {
    if (await nameOf(object) !== MAPS.loden_peers.name) continue;
    const entries = JSON.parse(
      await run([..."bpftool --json map dump id".split(" "), `${object.id}`]),
    ) as { key: string[]; value: string[] }[];
    const bytes = (texts: string[]) => Uint8Array.from(texts, Number);
    return Object.fromEntries(entries.map(({ key, value }) => [
      formatCidr(subnetOfKey(bytes(key))),
      formatIpv4(decodePeer(bytes(value)).address),
    ]));
  }
  throw new Error("the programs at flannel0 have no map of peers");
}

/** The subnets that are routed into the overlay's device. */
async function routed(namespace: NetNamespace): Promise<string[]> {
  const routes = JSON.parse(
    await namespace.run(["ip", "-json", "route", "show", "dev", "flannel0"]),
  ) as { dst: string }[];
  return routes.map(({ dst }) => dst).sort();
}

Deno.test("an agent with ten thousand leases of other hosts", async (test) => {
  await using rig = await Rig.create({ hosts: 1 });
  const { namespace } = rig.host(0);
  await rig.startEtcd();
  await rig.publish({
    Network: MANY_LEASES_NETWORK,
    SubnetLen: 24,
    SubnetMin: "10.250.0.0",
    SubnetMax: "10.250.255.0",
  });
  await rig.switch.run(
    program("write_leases.ts", rig.etcdEndpoint, PREFIX, `${HOSTS}`),
  );
  const agent = await rig.startAgent(rig.host(0), {
    flags: ["--datapath=ebpf"],
  });
  await agent.ready(READY_MS);
  await eventually(
    `${HOSTS} peers`,
    () => shown(agent),
    (peers) => peers.length === HOSTS,
    READY_MS,
  );
  const holders = written();

  await test.step("all of them are peers, in its status, in the map of its programs and among its routes", async () => {
    assertEquals(holdersOf(await shown(agent)), holders);
    assertEquals(await inKernel(namespace), holders);
    assertEquals(await routed(namespace), Object.keys(holders).sort());
  });

  await test.step("a peer that moves, one that comes and one that vanishes are that in the kernel, and nothing else changes", async () => {
    const [moved, come, vanished] = [4_321, HOSTS, 1_234].map((host) => ({
      key: `${PREFIX}/subnets/${leaseName(subnetOfHost(host))}`,
      subnet: formatCidr(subnetOfHost(host)),
    })) as [Lease, Lease, Lease];
    const publicIp = attributesOfHost(HOSTS + 1).publicIp as Ipv4;
    for (const { key, subnet } of [moved, come]) {
      await rig.etcd.ctl(
        "put",
        key,
        encodeLeaseValue({ publicIp, backendType: "udp" }),
      );
      holders[subnet] = formatIpv4(publicIp);
    }
    await rig.etcd.ctl("del", vanished.key);
    const peers = await eventually(
      "the vanished peer in its grace",
      () => shown(agent),
      (peers) => peers.some(({ stale }) => stale),
    );
    assertEquals(
      peers.filter(({ stale }) => stale).map(({ subnet }) => subnet),
      [vanished.subnet],
    );
    assertEquals(holdersOf(peers), holders);
    assertEquals(await inKernel(namespace), holders);
    assertEquals(await routed(namespace), Object.keys(holders).sort());
  });
});

interface Lease {
  readonly key: string;
  readonly subnet: string;
}
