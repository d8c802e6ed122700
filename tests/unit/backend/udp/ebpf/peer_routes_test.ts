import { assertEquals, assertThrows } from "@std/assert";
import { PEER_FLAG } from "../../../../../backend/udp/ebpf/maps.ts";
import { PeerRoutes } from "../../../../../backend/udp/ebpf/peer_routes.ts";
import { NetlinkError } from "../../../../../linux/netlink/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import type { RouteAnswer } from "../../../../../linux/netlink/rtnetlink.ts";
import { overlayMtu } from "../../../../../net/mtu.ts";
import type { Peer } from "../../../../../net/peer.ts";
import { CapturedLogs } from "../../../../support/capture_logs.ts";
import { EbpfWorld } from "../../../../support/ebpf_world.ts";
import { address, network, peer } from "../../../../support/kernel_world.ts";

const A = peer("10.1.2.0/24", "192.0.2.2");
const OVERLAY_DEVICE = 77;

/** A host with `eth0`, of which the routing table may answer otherwise. */
class World extends EbpfWorld {
  readonly ways: PeerRoutes = new PeerRoutes(this.rtnetlink, {
    ...this.options,
    mtuBytes: overlayMtu(1_472),
  });

  find(...peers: Peer[]) {
    return this.ways.find(peers, this.rtnetlink.links(), OVERLAY_DEVICE);
  }

  answer(way: Partial<RouteAnswer>): void {
    this.rtnetlink.routeTo = () => ({
      interfaceIndex: this.eth0.index,
      gateway: undefined,
      source: undefined,
      mtuBytes: undefined,
      ...way,
    });
  }
}

Deno.test("a peer route combines the routing table and the lease's data path", () => {
  const world = new World();
  assertEquals(world.find(A), [{
    subnet: A.subnet,
    address: A.publicIp,
    interfaceIndex: world.eth0.index,
    flags: PEER_FLAG.CUT,
    mtuBytes: undefined,
  }]);
  const flags = world.find(
    { ...A, dataPath: "ebpf" },
    { ...A, dataPath: "tun" },
  ).map((way) => way.flags);
  assertEquals(flags, [0, PEER_FLAG.CUT | PEER_FLAG.CHECKSUM]);
});

Deno.test("a route through the overlay itself is not used: packets would loop", () => {
  const world = new World();
  world.answer({ interfaceIndex: OVERLAY_DEVICE, mtuBytes: 600 });
  const [way] = world.find(A);
  assertEquals([way!.interfaceIndex, way!.mtuBytes], [
    world.eth0.index,
    undefined,
  ]);
});

Deno.test("a peer behind a device without Ethernet is left out and logged once, and the others are served", () => {
  const world = new World();
  const tunnel = world.rtnetlink.addLink({
    name: "wg0",
    up: true,
    kind: "wireguard",
    mac: new Uint8Array(),
  });
  const routeTo = world.rtnetlink.routeTo.bind(world.rtnetlink);
  world.rtnetlink.routeTo = (to) =>
    to === A.publicIp
      ? {
        interfaceIndex: tunnel.index,
        gateway: undefined,
        source: undefined,
        mtuBytes: undefined,
      }
      : routeTo(to);
  const b = peer("10.1.3.0/24", "192.0.2.3");
  using logs = new CapturedLogs();
  for (let look = 0; look < 2; look++) {
    assertEquals(world.find(A, b).map(({ address }) => address), [b.publicIp]);
  }
  const events = () =>
    logs.events("backend.peer-left-out")
      .map((event) => [event.peer, event.device]);
  assertEquals(events(), [["192.0.2.2", "wg0"]]);
  world.rtnetlink.routeTo = routeTo;
  assertEquals(world.find(A, b).length, 2);
  world.answer({ interfaceIndex: tunnel.index });
  world.find(A);
  assertEquals(events().length, 2);
});

Deno.test("without a route the lease's device is taken, and other failures are not swallowed", () => {
  const world = new World();
  world.rtnetlink.routeTo = () => {
    throw new NetlinkError("find the route", ERRNO.ENETUNREACH);
  };
  assertEquals(world.find(A)[0]!.interfaceIndex, world.eth0.index);
  world.rtnetlink.routeTo = () => {
    throw new TypeError("a fault");
  };
  assertThrows(() => world.find(A), TypeError);
});

const MTUS: readonly [
  device: number,
  route: number | undefined,
  overlay: number | undefined,
][] = [
  [1_500, undefined, undefined],
  [1_500, 1_500, undefined],
  [1_500, 1_499, 1_471],
  [1_400, undefined, 1_372],
  [1_400, 1_450, 1_372],
  [1_400, 1_300, 1_272],
  [9_000, undefined, undefined],
  [9_000, 9_000, undefined],
  [1_500, 90, 68],
  [1_500, 97, 69],
];
for (const [device, route, overlay] of MTUS) {
  Deno.test(`of a device of ${device} bytes and a route of ${route ?? "any"}, ${overlay ?? "all"} are the overlay's`, () => {
    const world = new World();
    world.rtnetlink.changeLink(world.eth0.index, { mtuBytes: device });
    world.answer({ mtuBytes: route });
    assertEquals(world.find(A)[0]!.mtuBytes, overlay);
    assertEquals(world.ways.mtuBytes(A.publicIp), overlay);
  });
}

Deno.test("only addresses of peers are known, and of those that are peers now", () => {
  const world = new World();
  const own = peer("10.1.9.0/24", "192.0.2.1");
  world.find(A, own);
  assertEquals(
    [A.publicIp, own.publicIp, address("192.0.2.9")].map((one) =>
      world.ways.has(one)
    ),
    [true, false, false],
  );
  world.find();
  assertEquals(world.ways.has(A.publicIp), false);
});

Deno.test("two subnets of one holder use the same route", () => {
  const world = new World();
  world.answer({ mtuBytes: 1_300 });
  const second = { ...A, subnet: network("10.1.5.0/24") };
  assertEquals(
    world.find(A, second).map(({ mtuBytes }) => mtuBytes),
    [1_272, 1_272],
  );
});
