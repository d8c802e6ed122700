/**
 * What every {@linkcode Rtnetlink} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertThrows,
} from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import { MAIN_TABLE } from "../../linux/netlink/route.ts";
import type {
  Link,
  LinkAddress,
  NewRoute,
  NewVethPair,
  NewVxlan,
  Route,
  Rtnetlink,
} from "../../linux/netlink/rtnetlink.ts";
import { untilOperUp } from "../support/oper_up.ts";
import {
  type Cidr,
  parseAddressWithPrefix,
  parseCidr,
} from "../../net/cidr.ts";
import { type Ipv4, parseIpv4, toIpv4 } from "../../net/ipv4.ts";

/** A network namespace with `lo` up and 127.0.0.1/8, and nothing else in it. */
export interface RtnetlinkWorld extends Disposable {
  readonly rtnetlink: Rtnetlink;
  /** Plugs in a device of kind `bridge`, down, MTU 1500; its index. */
  addBridge(name: string): number;
}

const ABSENT_INDEX = 9999;
/** What the agent asks for. */
export const PAIR: NewVethPair = {
  name: "flannel0",
  peerName: "flannel0p",
  mac: Uint8Array.of(2, 0, 10, 1, 27, 0),
  peerMac: Uint8Array.of(2, 1, 10, 1, 27, 0),
  mtuBytes: 1472,
  peerMtuBytes: 65535,
};

/** What the vxlan backend asks for, but for the underlay. */
const VXLAN = {
  name: "flannel.1",
  vni: 1,
  local: parseIpv4("192.0.2.11")!,
  port: 8472,
  learning: false,
  outerChecksum: false,
  groupPolicy: false,
  mac: Uint8Array.of(2, 0, 10, 1, 27, 0),
  mtuBytes: 1400,
};

interface VxlanWorld {
  readonly index: number;
  readonly underlayIndex: number;
  readonly vxlan: NewVxlan;
}

const neighbour = (interfaceIndex: number, text: string, number: number) => ({
  interfaceIndex,
  address: ip(text),
  mac: macOf(number),
});

const forwarding = (interfaceIndex: number, number: number, text: string) => ({
  interfaceIndex,
  mac: macOf(number),
  remote: ip(text),
});

const macOf = (number: number) => Uint8Array.of(2, 0, 0, 0, 1, number);

/** The kernel lists by hash. */
const byMac = <Entry extends { readonly mac: Uint8Array }>(
  entries: readonly Entry[],
) => entries.toSorted((a, b) => a.mac[5]! - b.mac[5]!);

const ip = (text: string): Ipv4 => parseIpv4(text)!;
const net = (text: string): Cidr => parseCidr(text)!;
const at = (text: string) => parseAddressWithPrefix(text)!;

/** Registers the tests; `makeWorld` makes a new world for each. */
export function rtnetlinkContract(
  implementation: string,
  makeWorld: () => RtnetlinkWorld,
): void {
  const test = (
    sentence: string,
    prove: (rtnetlink: Rtnetlink, world: RtnetlinkWorld) => void,
  ) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world.rtnetlink, world);
    });

  /** A device that is up and has an address. */
  const plugIn = (world: RtnetlinkWorld, name: string, address: string) => {
    const index = world.addBridge(name);
    world.rtnetlink.ensureAddress(index, at(address));
    world.rtnetlink.changeLink(index, { up: true });
    return index;
  };

  test("lists a device as it is", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    const { mac, ...link } = linkOf(rtnetlink, index);
    assertEquals(link, {
      index,
      name: "br7",
      mtuBytes: 1500,
      up: false,
      carrier: false,
      operUp: false,
      loopback: false,
      noArp: false,
      kind: "bridge",
      peerIndex: undefined,
      gsoMaxBytes: 65536,
      alias: "",
      rxDropped: 0,
      txDropped: 0,
    });
    assertEquals(mac.length, 6);
  });

  test("lists the loopback device and its address", (rtnetlink) => {
    const lo = rtnetlink.links().find(({ name }) => name === "lo")!;
    assertEquals([lo.loopback, lo.up, lo.index], [true, true, 1]);
    assertEquals(addressesOf(rtnetlink, lo.index), [{
      interfaceIndex: 1,
      ...at("127.0.0.1/8"),
      scope: "host",
      permanent: true,
      deprecated: false,
      secondary: false,
    }]);
  });

  test("changes only the named settings of a device", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    rtnetlink.changeLink(index, { alias: "loden: 10.1.0.0/16" });
    rtnetlink.changeLink(index, { mtuBytes: 1400 });
    rtnetlink.changeLink(index, { gsoMaxBytes: 50_000 });
    rtnetlink.changeLink(index, { arp: false });
    rtnetlink.changeLink(index, { name: "br8" });
    rtnetlink.changeLink(index, { up: true });
    const changed = {
      name: "br8",
      mtuBytes: 1400,
      gsoMaxBytes: 50_000,
      noArp: true,
    };
    assertObjectMatch(linkOf(rtnetlink, index), {
      ...changed,
      up: true,
      alias: "loden: 10.1.0.0/16",
    });
    rtnetlink.changeLink(index, { up: false, alias: "" });
    assertObjectMatch(linkOf(rtnetlink, index), {
      ...changed,
      up: false,
      alias: "",
    });
    rtnetlink.changeLink(index, { arp: true });
    assertEquals(linkOf(rtnetlink, index).noArp, false);
  });

  test("gives a device no name that another one has", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    world.addBridge("br8");
    refuses(ERRNO.EEXIST, () => rtnetlink.changeLink(index, { name: "br8" }));
  });

  test("makes a pair of devices, each with what it shall have", (rtnetlink) => {
    const { link, peer } = rtnetlink.createVethPair({
      ...PAIR,
      alias: "loden: 10.1.0.0/16",
    });
    const common = {
      up: false,
      carrier: false,
      operUp: false,
      loopback: false,
      noArp: true,
      kind: "veth",
      alias: "loden: 10.1.0.0/16",
      gsoMaxBytes: 65536,
      rxDropped: 0,
      txDropped: 0,
    };
    assertEquals(link, {
      ...common,
      index: link.index,
      name: "flannel0",
      mtuBytes: 1472,
      mac: PAIR.mac,
      peerIndex: peer.index,
    });
    assertEquals(peer, {
      ...common,
      index: peer.index,
      name: "flannel0p",
      mtuBytes: 65535,
      mac: PAIR.peerMac,
      peerIndex: link.index,
    });
    assertEquals(linkOf(rtnetlink, link.index), link);
    assertEquals(linkOf(rtnetlink, peer.index), peer);
  });

  test("lets the kernel number the devices of a pair", (rtnetlink) => {
    const pattern = { ...PAIR, name: "flannel%d", peerName: "flannel%dp" };
    const names = [1, 2].map(() => {
      const { link, peer } = rtnetlink.createVethPair(pattern);
      return [link.name, peer.name];
    });
    assertEquals(names, [["flannel0", "flannel0p"], ["flannel1", "flannel1p"]]);
  });

  test("makes no pair when a name is taken", (rtnetlink, world) => {
    world.addBridge("br7");
    for (const taken of [{ name: "br7" }, { peerName: "br7" }]) {
      refuses(
        ERRNO.EEXIST,
        () => rtnetlink.createVethPair({ ...PAIR, ...taken }),
      );
    }
    assertEquals(rtnetlink.links().map(({ name }) => name), ["lo", "br7"]);
  });

  test("has a carrier when both ends of a pair are up", (rtnetlink) => {
    const { link, peer } = rtnetlink.createVethPair(PAIR);
    const carriers = () =>
      [link, peer].map(({ index }) => linkOf(rtnetlink, index).carrier);
    rtnetlink.changeLink(link.index, { up: true });
    assertEquals(carriers(), [false, false]);
    rtnetlink.changeLink(peer.index, { up: true });
    assertEquals(carriers(), [true, true]);
    untilOperUp(rtnetlink, [link.index, peer.index]);
    rtnetlink.changeLink(link.index, { up: false });
    assertEquals(carriers(), [false, false]);
  });

  test("deletes a pair by either end", (rtnetlink) => {
    for (const end of ["link", "peer"] as const) {
      const pair = rtnetlink.createVethPair(PAIR);
      assertEquals(rtnetlink.deleteLink(pair[end].index), true);
      assertEquals(rtnetlink.links().map(({ name }) => name), ["lo"]);
    }
  });

  test("refuses to change a device that is not there", (rtnetlink) => {
    refuses(ERRNO.ENODEV, () => rtnetlink.changeLink(ABSENT_INDEX, {}));
  });

  test("refuses an MTU that the device cannot have", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    refuses(
      ERRNO.EINVAL,
      () => rtnetlink.changeLink(index, { mtuBytes: 70_000 }),
    );
    assertEquals(linkOf(rtnetlink, index).mtuBytes, 1500);
  });

  test(
    "deletes a device once, with its addresses and routes",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      assertEquals(rtnetlink.deleteLink(index), true);
      assertEquals(rtnetlink.deleteLink(index), false);
      assertEquals(rtnetlink.links().map(({ name }) => name), ["lo"]);
      assertEquals(addressesOf(rtnetlink, index), []);
      assertEquals(mainRoutes(rtnetlink), []);
    },
  );

  test("adds an address once", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    assertEquals(rtnetlink.ensureAddress(index, at("10.1.5.0/32")), true);
    assertEquals(rtnetlink.ensureAddress(index, at("10.1.5.0/32")), false);
    assertEquals(addressesOf(rtnetlink, index), [{
      interfaceIndex: index,
      ...at("10.1.5.0/32"),
      scope: "global",
      permanent: true,
      deprecated: false,
      secondary: false,
    }]);
  });

  test(
    "takes one address with two prefix lengths for two addresses",
    (rtnetlink, world) => {
      const index = world.addBridge("br7");
      rtnetlink.ensureAddress(index, at("10.1.5.0/32"));
      assertEquals(rtnetlink.ensureAddress(index, at("10.1.5.0/24")), true);
      assertEquals(addressesOf(rtnetlink, index).length, 2);
    },
  );

  test(
    "marks the second address of a network as secondary",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      rtnetlink.ensureAddress(index, at("10.9.0.2/24"));
      assertEquals(
        addressesOf(rtnetlink, index).map(({ secondary }) => secondary),
        [false, true],
      );
    },
  );

  test("refuses an address for a device that is not there", (rtnetlink) => {
    refuses(
      ERRNO.ENODEV,
      () => rtnetlink.ensureAddress(ABSENT_INDEX, at("10.1.5.0/32")),
    );
  });

  test("removes an address once", (rtnetlink, world) => {
    const index = world.addBridge("br7");
    rtnetlink.ensureAddress(index, at("10.1.5.0/32"));
    assertEquals(rtnetlink.removeAddress(index, at("10.1.5.0/24")), false);
    assertEquals(rtnetlink.removeAddress(index, at("10.1.5.0/32")), true);
    assertEquals(rtnetlink.removeAddress(index, at("10.1.5.0/32")), false);
    assertEquals(
      rtnetlink.removeAddress(ABSENT_INDEX, at("10.1.5.0/32")),
      false,
    );
    assertEquals(addressesOf(rtnetlink, index), []);
  });

  test(
    "has a route to the network of an address while the device is up",
    (rtnetlink, world) => {
      const index = world.addBridge("br7");
      rtnetlink.ensureAddress(index, at("10.9.0.1/24"));
      assertEquals(mainRoutes(rtnetlink), []);
      rtnetlink.changeLink(index, { up: true });
      assertEquals(mainRoutes(rtnetlink), [{
        destination: net("10.9.0.0/24"),
        type: "unicast",
        table: MAIN_TABLE,
        interfaceIndex: index,
        gateway: undefined,
        preferredSource: ip("10.9.0.1"),
        metric: 0,
        scope: "link",
        protocol: 2,
        mtuBytes: undefined,
        multipath: false,
      }]);
      rtnetlink.changeLink(index, { up: false });
      assertEquals(mainRoutes(rtnetlink), []);
    },
  );

  /** A VXLAN device over a bridge, up, with the address of its subnet. */
  const vxlanDevice = (world: RtnetlinkWorld): VxlanWorld => {
    const underlayIndex = plugIn(world, "br7", "192.0.2.11/24");
    const vxlan = { ...VXLAN, underlayIndex };
    const { index } = world.rtnetlink.createVxlan(vxlan);
    world.rtnetlink.ensureAddress(index, at("10.1.27.0/32"));
    world.rtnetlink.changeLink(index, { up: true });
    return { index, underlayIndex, vxlan };
  };

  test("makes a VXLAN device with what it shall have", (rtnetlink, world) => {
    const { index, underlayIndex, vxlan } = vxlanDevice(world);
    const link = linkOf(rtnetlink, index);
    assertEquals(
      [link.name, link.kind, link.mtuBytes, link.mac],
      ["flannel.1", "vxlan", 1400, VXLAN.mac],
    );
    const { mac: _mac, mtuBytes: _mtu, name: _name, ...settings } = vxlan;
    assertEquals(rtnetlink.vxlanSettings(index), settings);
    assertEquals(rtnetlink.vxlanSettings(underlayIndex), undefined);
    assertEquals(rtnetlink.vxlanSettings(ABSENT_INDEX), undefined);
  });

  test(
    "makes a VXLAN device with checksums, learning and group policy",
    (rtnetlink, world) => {
      const underlayIndex = plugIn(world, "br7", "192.0.2.11/24");
      const { index } = rtnetlink.createVxlan({
        ...VXLAN,
        underlayIndex,
        groupPolicy: true,
        learning: true,
        outerChecksum: true,
      });
      assertObjectMatch(rtnetlink.vxlanSettings(index)!, {
        groupPolicy: true,
        learning: true,
        outerChecksum: true,
      });
    },
  );

  test(
    "takes the MTU of a VXLAN device from its underlay where that has less",
    (rtnetlink, world) => {
      const underlayIndex = plugIn(world, "br7", "192.0.2.11/24");
      const vxlan = { ...VXLAN, underlayIndex, mtuBytes: 9000 };
      assertEquals(rtnetlink.createVxlan(vxlan).mtuBytes, 1450);
    },
  );

  test(
    "makes no VXLAN device whose name or identifier is taken",
    (rtnetlink, world) => {
      const { vxlan } = vxlanDevice(world);
      for (const other of [{ vni: 2 }, { name: "other" }]) {
        refuses(
          ERRNO.EEXIST,
          () => rtnetlink.createVxlan({ ...vxlan, ...other }),
        );
      }
    },
  );

  test(
    "deletes a VXLAN device with its underlay, and not the other way round",
    (rtnetlink, world) => {
      const { index, underlayIndex } = vxlanDevice(world);
      rtnetlink.deleteLink(index);
      assertEquals(linkOf(rtnetlink, underlayIndex).name, "br7");
      rtnetlink.createVxlan({ ...VXLAN, underlayIndex });
      rtnetlink.deleteLink(underlayIndex);
      assertEquals(rtnetlink.links().map(({ name }) => name), ["lo"]);
    },
  );

  test(
    "puts neighbours, each in the place of the one with its address",
    (rtnetlink, world) => {
      const { index } = vxlanDevice(world);
      const first = neighbour(index, "10.1.28.0", 1);
      const second = neighbour(index, "10.1.29.0", 2);
      rtnetlink.replaceNeighbours([first, second]);
      assertEquals(byMac(rtnetlink.neighbours(index)), [first, second]);
      assertEquals(
        rtnetlink.neighbourEntries(index).find(({ address }) =>
          address === first.address
        ),
        { address: first.address, mac: first.mac, state: "permanent" },
      );
      const moved = neighbour(index, "10.1.28.0", 3);
      rtnetlink.replaceNeighbours([moved]);
      assertEquals(byMac(rtnetlink.neighbours(index)), [second, moved]);
      assertEquals(rtnetlink.removeNeighbours([first, second, first]), 2);
      assertEquals(rtnetlink.neighbours(index), []);
      const absent = neighbour(ABSENT_INDEX, "10.1.28.0", 1);
      refuses(ERRNO.ENODEV, () => rtnetlink.replaceNeighbours([absent]));
      assertEquals(rtnetlink.removeNeighbours([absent]), 0);
    },
  );

  test(
    "loses its neighbours when the device goes down, changes its address or loses its last one",
    (rtnetlink, world) => {
      const { index } = vxlanDevice(world);
      const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
      for (
        const fault of [
          () => rtnetlink.changeLink(index, { up: false }),
          () => rtnetlink.changeLink(index, { mac }),
          () => rtnetlink.removeAddress(index, at("10.1.27.0/32")),
        ]
      ) {
        rtnetlink.replaceNeighbours([neighbour(index, "10.1.28.0", 1)]);
        fault();
        assertEquals(rtnetlink.neighbours(index), []);
        rtnetlink.changeLink(index, { up: true });
      }
      assertEquals(linkOf(rtnetlink, index).mac, mac);
    },
  );

  test(
    "puts forwarding entries, each in the place of the one with its hardware address",
    (rtnetlink, world) => {
      const { index } = vxlanDevice(world);
      const first = forwarding(index, 1, "192.0.2.12");
      const second = forwarding(index, 2, "192.0.2.13");
      rtnetlink.replaceForwardingEntries([first, second]);
      assertEquals(byMac(rtnetlink.forwardingEntries(index)), [first, second]);
      const moved = forwarding(index, 1, "192.0.2.14");
      rtnetlink.replaceForwardingEntries([moved]);
      assertEquals(byMac(rtnetlink.forwardingEntries(index)), [moved, second]);
      // They outlive what neighbours do not.
      rtnetlink.changeLink(index, { up: false });
      assertEquals(byMac(rtnetlink.forwardingEntries(index)), [moved, second]);
      assertEquals(
        rtnetlink.removeForwardingEntries([first, second, second]),
        2,
      );
      assertEquals(rtnetlink.forwardingEntries(index), []);
      const absent = forwarding(ABSENT_INDEX, 1, "192.0.2.12");
      refuses(ERRNO.ENODEV, () => rtnetlink.replaceForwardingEntries([absent]));
      assertEquals(rtnetlink.removeForwardingEntries([absent]), 0);
    },
  );

  test(
    "remembers who installed a route, and removes it in any case",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const route = { destination: net("10.1.0.0/16"), interfaceIndex: index };
      rtnetlink.replaceRoute({ ...route, protocol: 76 });
      const protocols = () =>
        mainRoutes(rtnetlink).filter(({ protocol }) => protocol !== 2)
          .map(({ protocol }) => protocol);
      assertEquals(protocols(), [76]);
      rtnetlink.replaceRoute(route);
      assertEquals(protocols(), [3]);
      rtnetlink.replaceRoute({ ...route, protocol: 76 });
      assertEquals(rtnetlink.removeRoute(route), true);
      assertEquals(protocols(), []);
    },
  );

  test("adds a route with all its parts", (rtnetlink, world) => {
    const index = plugIn(world, "br7", "10.9.0.1/24");
    rtnetlink.replaceRoute({
      destination: net("10.1.0.0/16"),
      interfaceIndex: index,
      gateway: ip("10.9.0.77"),
      preferredSource: ip("10.9.0.1"),
      metric: 50,
      mtuBytes: 1300,
    });
    assertEquals(routesTo(rtnetlink, "10.1.0.0/16"), [{
      destination: net("10.1.0.0/16"),
      type: "unicast",
      table: MAIN_TABLE,
      interfaceIndex: index,
      gateway: ip("10.9.0.77"),
      preferredSource: ip("10.9.0.1"),
      metric: 50,
      scope: "global",
      protocol: 3,
      mtuBytes: 1300,
      multipath: false,
    }]);
  });

  test(
    "replaces a route of equal destination and metric",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const destination = net("10.1.0.0/16");
      rtnetlink.replaceRoute({ destination, interfaceIndex: index });
      rtnetlink.replaceRoute({ destination, gateway: ip("10.9.0.2") });
      rtnetlink.replaceRoute({ destination, gateway: ip("10.9.0.3") });
      rtnetlink.replaceRoute({ destination, gateway: ip("10.9.0.3") });
      assertEquals(
        routesTo(rtnetlink, "10.1.0.0/16").map(({ gateway }) => gateway),
        [ip("10.9.0.3")],
      );
    },
  );

  test(
    "keeps routes of one destination apart by metric, the lower first",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      for (const metric of [200, 0, 100]) {
        rtnetlink.replaceRoute({
          destination: net("0.0.0.0/0"),
          interfaceIndex: index,
          metric,
        });
      }
      assertEquals(
        routesTo(rtnetlink, "0.0.0.0/0").map(({ metric }) => metric),
        [0, 100, 200],
      );
    },
  );

  test("removes a route once", (rtnetlink, world) => {
    const index = plugIn(world, "br7", "10.9.0.1/24");
    const route = { destination: net("10.1.0.0/16"), interfaceIndex: index };
    rtnetlink.replaceRoute(route);
    assertEquals(rtnetlink.removeRoute(route), true);
    assertEquals(rtnetlink.removeRoute(route), false);
    assertEquals(routesTo(rtnetlink, "10.1.0.0/16"), []);
  });

  test(
    "removes no route of another metric, device, gateway or type",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const destination = net("10.1.0.0/16");
      rtnetlink.replaceRoute({
        destination,
        gateway: ip("10.9.0.2"),
        metric: 100,
      });
      for (
        const other of [
          { destination },
          { destination, metric: 0 },
          { destination, metric: 50 },
          { destination, metric: 100, gateway: ip("10.9.0.3") },
          { destination, metric: 100, interfaceIndex: index + 1 },
          { destination, metric: 100, type: "unreachable" as const },
          { destination: net("10.1.0.0/24"), metric: 100 },
        ]
      ) assertEquals(rtnetlink.removeRoute(other), false);
      assertEquals(routesTo(rtnetlink, "10.1.0.0/16").length, 1);
      assertEquals(rtnetlink.removeRoute({ destination, metric: 100 }), true);
    },
  );

  test(
    "refuses a route by a device that is absent or down",
    (rtnetlink, world) => {
      const destination = net("10.1.0.0/16");
      refuses(
        ERRNO.ENODEV,
        () =>
          rtnetlink.replaceRoute({ destination, interfaceIndex: ABSENT_INDEX }),
      );
      const index = world.addBridge("br7");
      refuses(
        ERRNO.ENETDOWN,
        () => rtnetlink.replaceRoute({ destination, interfaceIndex: index }),
      );
    },
  );

  test(
    "refuses a gateway that is out of reach unless it is said to be on the link",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const route = {
        destination: net("10.1.0.0/16"),
        interfaceIndex: index,
        gateway: ip("10.1.0.0"),
      };
      refuses(ERRNO.ENETUNREACH, () => rtnetlink.replaceRoute(route));
      rtnetlink.replaceRoute({ ...route, onlink: true });
      assertEquals(routesTo(rtnetlink, "10.1.0.0/16").length, 1);
    },
  );

  /** One route per peer of the overlay. */
  const peerRoutes = (interfaceIndex: number, count: number): NewRoute[] =>
    Array.from({ length: count }, (_, number) => {
      const gateway = toIpv4(0x0a100000 + number * 256);
      return {
        destination: { address: gateway, prefixLength: 24 },
        interfaceIndex,
        gateway,
        onlink: true,
      };
    });

  test("puts and removes many routes at once", (rtnetlink, world) => {
    const index = plugIn(world, "br7", "10.9.0.1/24");
    const routes = peerRoutes(index, 700);
    const gateways = () =>
      mainRoutes(rtnetlink).filter(({ protocol }) => protocol === 3)
        .map(({ gateway }) => gateway);
    rtnetlink.replaceRoutes(routes);
    rtnetlink.replaceRoutes(routes);
    assertEquals(gateways(), routes.map(({ gateway }) => gateway));
    assertEquals(rtnetlink.removeRoutes(routes.slice(100)), 600);
    assertEquals(gateways().length, 100);
    assertEquals(rtnetlink.removeRoutes(routes), 100);
    assertEquals(rtnetlink.removeRoutes(routes), 0);
    assertEquals(rtnetlink.removeRoutes([]), 0);
    assertEquals(gateways(), []);
  });

  test(
    "removes none of many routes that has another metric than is named",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const routes = peerRoutes(index, 3);
      rtnetlink.replaceRoutes(
        routes.map((route) => ({ ...route, metric: 100 })),
      );
      assertEquals(rtnetlink.removeRoutes(routes), 0);
      assertEquals(
        rtnetlink.removeRoutes(
          routes.map((route, i) => ({ ...route, metric: 99 + i })),
        ),
        1,
      );
    },
  );

  test(
    "puts the others of many routes when it refuses some",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      const routes = peerRoutes(index, 300);
      routes[7] = { ...routes[7]!, interfaceIndex: ABSENT_INDEX };
      routes[200] = { ...routes[200]!, onlink: false };
      routes[299] = { ...routes[299]!, interfaceIndex: ABSENT_INDEX };
      refuses(ERRNO.ENODEV, () => rtnetlink.replaceRoutes(routes));
      assertEquals(mainRoutes(rtnetlink).length, 1 + 297);
    },
  );

  test("removes no route of another MTU", (rtnetlink, world) => {
    const interfaceIndex = plugIn(world, "br7", "10.9.0.1/24");
    const route = { destination: net("10.1.0.0/16"), interfaceIndex };
    rtnetlink.replaceRoute({ ...route, mtuBytes: 1300 });
    assertEquals(rtnetlink.removeRoute({ ...route, mtuBytes: 1301 }), false);
    assertEquals(rtnetlink.removeRoute(route), true);
  });

  test("answers with the MTU of the route", (rtnetlink, world) => {
    const interfaceIndex = plugIn(world, "br7", "10.9.0.1/24");
    const destination = net("10.1.0.0/16");
    rtnetlink.replaceRoute({ destination, interfaceIndex, mtuBytes: 1300 });
    assertEquals(rtnetlink.routeTo(ip("10.1.2.3")).mtuBytes, 1300);
  });

  test("answers for one device when it is named", (rtnetlink, world) => {
    const near = plugIn(world, "br7", "10.9.0.1/24");
    const far = plugIn(world, "br8", "10.8.0.1/24");
    const destination = net("10.1.0.0/16");
    rtnetlink.replaceRoute({ destination, interfaceIndex: near, metric: 1 });
    rtnetlink.replaceRoute({ destination, interfaceIndex: far, metric: 2 });
    const devices = [{}, { interfaceIndex: near }, { interfaceIndex: far }]
      .map((query) => rtnetlink.routeTo(ip("10.1.2.3"), query).interfaceIndex);
    assertEquals(devices, [near, near, far]);
  });

  test("answers by the longest prefix", (rtnetlink, world) => {
    const near = plugIn(world, "br7", "10.9.0.1/24");
    const far = plugIn(world, "br8", "10.8.0.1/24");
    rtnetlink.replaceRoute({
      destination: net("0.0.0.0/0"),
      gateway: ip("10.9.0.254"),
    });
    rtnetlink.replaceRoute({
      destination: net("10.1.0.0/16"),
      interfaceIndex: far,
    });
    assertEquals(rtnetlink.routeTo(ip("192.0.2.7")), {
      interfaceIndex: near,
      gateway: ip("10.9.0.254"),
      source: ip("10.9.0.1"),
      mtuBytes: undefined,
    });
    assertEquals(rtnetlink.routeTo(ip("10.1.2.3")), {
      interfaceIndex: far,
      gateway: undefined,
      source: ip("10.8.0.1"),
      mtuBytes: undefined,
    });
  });

  test(
    "answers with the lower metric, and with the source that the route names",
    (rtnetlink, world) => {
      const index = plugIn(world, "br7", "10.9.0.1/24");
      rtnetlink.ensureAddress(index, at("10.7.0.1/24"));
      const destination = net("0.0.0.0/0");
      rtnetlink.replaceRoute({
        destination,
        gateway: ip("10.9.0.2"),
        metric: 20,
      });
      rtnetlink.replaceRoute({
        destination,
        gateway: ip("10.9.0.3"),
        preferredSource: ip("10.7.0.1"),
        metric: 10,
      });
      const answer = rtnetlink.routeTo(ip("192.0.2.7"));
      assertEquals(
        [answer.gateway, answer.source],
        [ip("10.9.0.3"), ip("10.7.0.1")],
      );
    },
  );

  test(
    "answers for an own address with the loopback device",
    (rtnetlink, world) => {
      plugIn(world, "br7", "10.9.0.1/24");
      const answer = rtnetlink.routeTo(ip("10.9.0.1"));
      assertEquals(
        [answer.interfaceIndex, answer.source, answer.isLocal],
        [1, ip("10.9.0.1"), true],
      );
    },
  );

  test("says why there is no route to a destination", (rtnetlink) => {
    const to = (text: string) => () => rtnetlink.routeTo(ip(text));
    refuses(ERRNO.ENETUNREACH, to("192.0.2.7"));
    rtnetlink.replaceRoute({
      destination: net("10.1.0.0/16"),
      type: "unreachable",
      metric: 4_000_000_000,
    });
    rtnetlink.replaceRoute({
      destination: net("10.1.7.0/24"),
      type: "blackhole",
    });
    refuses(ERRNO.EHOSTUNREACH, to("10.1.2.3"));
    refuses(ERRNO.EINVAL, to("10.1.7.3"));
    assertEquals(
      mainRoutes(rtnetlink).map(({ type, metric }) => [type, metric]),
      [["unreachable", 4_000_000_000], ["blackhole", 0]],
    );
    assertEquals(
      rtnetlink.removeRoute({
        destination: net("10.1.0.0/16"),
        type: "unreachable",
        metric: 4_000_000_000,
      }),
      true,
    );
    assertEquals(
      rtnetlink.removeRoute({
        destination: net("10.1.7.0/24"),
        type: "blackhole",
      }),
      true,
    );
    refuses(ERRNO.ENETUNREACH, to("10.1.2.3"));
  });
}

function linkOf(rtnetlink: Rtnetlink, index: number): Link {
  return rtnetlink.links().find((link) => link.index === index)!;
}

function addressesOf(rtnetlink: Rtnetlink, index: number): LinkAddress[] {
  return rtnetlink.addresses().filter(({ interfaceIndex }) =>
    interfaceIndex === index
  );
}

function mainRoutes(rtnetlink: Rtnetlink): Route[] {
  return rtnetlink.routes().filter(({ table }) => table === MAIN_TABLE);
}

function routesTo(rtnetlink: Rtnetlink, destination: string): Route[] {
  const { address, prefixLength } = net(destination);
  return mainRoutes(rtnetlink).filter((route) =>
    route.destination.address === address &&
    route.destination.prefixLength === prefixLength
  );
}

function refuses(errno: number, attempt: () => void): void {
  const error = assertThrows(attempt, NetlinkError);
  assertEquals(error.errno, errno);
  assert(error.message.startsWith("Cannot "), error.message);
}
