import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { EbpfDataPath } from "../../../../../backend/udp/ebpf/ebpf_data_path.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { formatCidr } from "../../../../../net/cidr.ts";
import {
  applyPeerDiff,
  type Peer,
  type PeerDiff,
} from "../../../../../net/peer.ts";
import { EbpfWorld } from "../../../../support/ebpf_world.ts";
import { added, network, peer } from "../../../../support/kernel_world.ts";

const A = peer("10.1.2.0/24", "192.0.2.2");
const B = peer("10.1.3.0/24", "192.0.2.3");
const NONE: PeerDiff = { added: [], changed: [], removed: [] };

/** A data path that has peers, as an agent has it. */
async function running(
  world: EbpfWorld,
  peers: readonly Peer[] = [A, B],
): Promise<EbpfDataPath> {
  const path = world.start();
  await path.changePeers(added(...peers));
  return path;
}

/** What a host's kernel holds of its peers. */
function held(world: EbpfWorld): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(world.peersInUse()).map((
      [subnet, { address, flags, interfaceIndex }],
    ) => [subnet, { address, flags, interfaceIndex }]),
  );
}

/** Counts what the kernel is asked. */
function questions(world: EbpfWorld): { routeTo: number; routes: number } {
  const asked = { routeTo: 0, routes: 0 };
  const { rtnetlink } = world;
  for (const name of ["routeTo", "routes"] as const) {
    const ask = rtnetlink[name].bind(rtnetlink) as (
      ...args: unknown[]
    ) => unknown;
    Object.assign(rtnetlink, {
      [name]: (...args: unknown[]) => {
        asked[name]++;
        return ask(...args);
      },
    });
  }
  return asked;
}

Deno.test("a change of one peer queries the route to that peer only", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const asked = questions(world);
  await path.changePeers(added(peer("10.1.4.0/24", "192.0.2.4")));
  await path.changePeers({
    ...NONE,
    changed: [{ ...A, publicIp: B.publicIp }],
  });
  assertEquals(asked, { routeTo: 2, routes: 0 });
  await path.changePeers({ ...NONE, removed: [A] });
  assertEquals(asked, { routeTo: 2, routes: 0 });
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24", "10.1.4.0/24"]);
  assertEquals(world.overlayRoutes().toSorted(), [
    "10.1.3.0/24",
    "10.1.4.0/24",
  ]);
  assertEquals(path.peerCount, 2);
  // Nothing is left to do for a look.
  assertEquals([path.look(), path.mend()], [[], []]);
});

Deno.test("a check reads the routes only if they may have changed", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const asked = questions(world);
  path.look();
  assertEquals(asked.routes, 0);
  path.forgetRoutes();
  path.look();
  assertEquals(asked.routes, 1);
});

Deno.test("the first peers are all there are: what an earlier agent has left goes", async () => {
  const world = new EbpfWorld();
  await (await running(world)).stop();
  const next = world.start();
  assertEquals(next.peerCount, 0);
  assertEquals(Object.keys(held(world)).length, 2);
  await next.changePeers(added(B));
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24"]);
});

Deno.test("a peer by a device without programs brings them there", async () => {
  const world = new EbpfWorld();
  const eth1 = world.addUnderlay("eth1", "198.51.100.1/24");
  const path = await running(world);
  await path.changePeers(added(peer("10.1.4.0/24", "198.51.100.2")));
  assertEquals(
    world.attached().filter((text) => text.startsWith("eth1")).length,
    1,
  );
  assertEquals(
    world.peersInUse()["10.1.4.0/24"]!.interfaceIndex,
    eth1.index,
  );
});

Deno.test("a peer that moves to this host's own address is none any more", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const { publicIp } = world.options.underlay;
  await path.changePeers({ ...NONE, changed: [{ ...A, publicIp }] });
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24"]);
  assertEquals(world.overlayRoutes(), ["10.1.3.0/24"]);
});

Deno.test("a change after the device was deleted brings device and all peers back", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  world.rtnetlink.deleteLink(world.link("flannel0").index);
  const C = peer("10.1.4.0/24", "192.0.2.4");
  await path.changePeers({ ...NONE, added: [C] });
  assertEquals(Object.keys(held(world)).length, 3);
  assertEquals(world.overlayRoutes().length, 3);
});

Deno.test("a change that the kernel goes on refusing is an error, and the next one has all of it", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const refusal = new BpfError("update a map", ERRNO.ENOMEM);
  world.rtnetlink.onRoutes = () => {
    throw refusal;
  };
  const C = peer("10.1.4.0/24", "192.0.2.4");
  assertThrows(() => path.changePeers({ ...NONE, added: [C] }), BpfError);
  world.rtnetlink.onRoutes = () => {};
  await path.changePeers({ ...NONE, removed: [A] });
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24", "10.1.4.0/24"]);
  assertEquals(world.overlayRoutes().toSorted(), [
    "10.1.3.0/24",
    "10.1.4.0/24",
  ]);
});

Deno.test("known peer routes follow each change, so that no later check restores former peers", async () => {
  const world = new EbpfWorld();
  // Asking takes a second, so that answers are good for longer than deadlines.
  let askedMs = 0;
  const routeTo = world.rtnetlink.routeTo.bind(world.rtnetlink);
  world.rtnetlink.routeTo = (...args) => {
    askedMs += 1_000;
    return routeTo(...args);
  };
  const monotonic = world.clock.monotonic.bind(world.clock);
  world.clock.monotonic = () => monotonic() + askedMs;
  const path = await running(world);
  const C = peer("10.1.4.0/24", "192.0.2.4");
  await path.changePeers({ ...NONE, added: [C], removed: [A] });
  const [before] = Object.values(world.peersInUse());
  const asked = questions(world);
  await world.clock.advance(600_000);
  path.look();
  const [after] = Object.values(world.peersInUse());
  assert(after!.deadlineNs > before!.deadlineNs);
  assertEquals(asked.routeTo, 0);
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24", "10.1.4.0/24"]);
  assertEquals(world.overlayRoutes().length, 2);
});

Deno.test("any sequence of diffs leaves the kernel as all peers at once do", async () => {
  const subnets = fc.integer({ min: 2, max: 7 }).map((third) =>
    `10.1.${third}.0/24`
  );
  // Of another network's device, of this host itself, and ordinary ones.
  const holders = fc.constantFrom(
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.4",
    "198.51.100.2",
  );
  const diffs = fc.array(
    fc.record({
      put: fc.dictionary(subnets, holders, { maxKeys: 3 }),
      removed: fc.uniqueArray(subnets, { maxLength: 3 }),
      looks: fc.boolean(),
    }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(diffs, async (steps) => {
      const [world, other] = [new EbpfWorld(), new EbpfWorld()];
      world.addUnderlay("eth1", "198.51.100.1/24");
      other.addUnderlay("eth1", "198.51.100.1/24");
      const path = await running(world, []);
      const peers = new Map<string, Peer>();
      for (const { looks, put, removed } of steps) {
        const putPeers = Object.entries(put).map(([subnet, holder]) =>
          peer(subnet, holder)
        );
        const isKnown = ({ subnet }: Peer) => peers.has(formatCidr(subnet));
        const diff: PeerDiff = {
          added: putPeers.filter((one) => !isKnown(one)),
          changed: putPeers.filter(isKnown),
          removed: removed.filter((text) => peers.has(text) && !(text in put))
            .map((text) => peers.get(text)!),
        };
        applyPeerDiff(peers, diff);
        await path.changePeers(diff);
        if (looks) path.look();
      }
      await running(other, [...peers.values()]);
      assertEquals(held(world), held(other));
      assertEquals(
        world.overlayRoutes().toSorted(),
        other.overlayRoutes().toSorted(),
      );
      assertEquals(path.peerCount, peers.size);
      world.rtnetlink.changes = 0;
      path.mend();
      assertEquals(world.rtnetlink.changes, 0);
    }),
    { numRuns: 30 },
  );
});

Deno.test("a subnet's peers are found by the subnet, not by the object", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const again = { ...A, subnet: network("10.1.2.0/24") };
  await path.changePeers({ ...NONE, removed: [again] });
  assertEquals(Object.keys(held(world)), ["10.1.3.0/24"]);
});
