import { assertEquals } from "@std/assert";
import {
  type ActualState,
  type DesiredState,
  ROUTE_PROTOCOL,
} from "../../../../backend/reconcile/kernel_state.ts";
import {
  countChanges,
  planChanges,
  planDifference,
} from "../../../../backend/reconcile/plan.ts";
import type { NewRoute, Route } from "../../../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";

const DEVICE = 7;
const UNDERLAY = 2;
const OWNERSHIP = { network: parseCidr("10.1.0.0/16")!, deviceIndex: DEVICE };
const NOTHING: DesiredState & ActualState = {
  routes: [],
  neighbours: [],
  forwarding: [],
};
const BOOT = 3;
const STATIC = 4;

const ip = (text: string) => parseIpv4(text)!;
const macOf = (number: number) => Uint8Array.of(2, 0, 0, 0, 0, number);

function wish(subnet: string, change: Partial<NewRoute> = {}): NewRoute {
  return {
    destination: parseCidr(subnet)!,
    gateway: parseCidr(subnet)!.address,
    interfaceIndex: DEVICE,
    onlink: true,
    protocol: ROUTE_PROTOCOL,
    ...change,
  };
}

function present(subnet: string, change: Partial<Route> = {}): Route {
  return {
    destination: parseCidr(subnet)!,
    type: "unicast",
    table: 254,
    interfaceIndex: DEVICE,
    gateway: parseCidr(subnet)!.address,
    preferredSource: undefined,
    metric: 0,
    scope: "global",
    protocol: ROUTE_PROTOCOL,
    mtuBytes: undefined,
    multipath: false,
    ...change,
  };
}

const routes = (
  desired: NewRoute[],
  actual: Route[],
  ownership: Parameters<typeof planChanges>[2] = OWNERSHIP,
) =>
  planChanges(
    { ...NOTHING, routes: desired },
    { ...NOTHING, routes: actual },
    ownership,
  );

Deno.test("planChanges() leaves the right state alone", () => {
  const changes = routes([wish("10.1.5.0/24")], [present("10.1.5.0/24")]);
  assertEquals(countChanges(changes), 0);
});

Deno.test("planChanges() adds what is missing and removes what is not wanted", () => {
  const { putRoutes, removeRoutes } = routes(
    [wish("10.1.5.0/24")],
    [present("10.1.6.0/24")],
  );
  assertEquals(putRoutes, [wish("10.1.5.0/24")]);
  assertEquals(removeRoutes.map(({ destination }) => destination), [
    parseCidr("10.1.6.0/24")!,
  ]);
});

Deno.test("planChanges() puts again a route that was changed", () => {
  for (
    const change of [
      { interfaceIndex: UNDERLAY },
      { gateway: ip("10.1.9.0") },
      { mtuBytes: 1000 },
      { multipath: true },
    ]
  ) {
    const { putRoutes } = routes(
      [wish("10.1.5.0/24")],
      [present("10.1.5.0/24", change)],
    );
    assertEquals(putRoutes.length, 1);
  }
});

Deno.test("planChanges() takes over flannel's routes by the device, and removes stale ones", () => {
  const { putRoutes, removeRoutes } = routes(
    [wish("10.1.5.0/24")],
    [
      present("10.1.5.0/24", { protocol: BOOT }),
      present("10.1.6.0/24", { protocol: BOOT }),
    ],
  );
  assertEquals(putRoutes.length, 1);
  assertEquals(removeRoutes.length, 1);
});

Deno.test("planChanges() takes over flannel's route to a peer by its gateway", () => {
  const route = { gateway: ip("192.0.2.12"), interfaceIndex: UNDERLAY };
  const flannels = present("10.1.5.0/24", { ...route, protocol: BOOT });
  const hostGw = { ...OWNERSHIP, deviceIndex: undefined };
  const taken = routes([wish("10.1.5.0/24", route)], [flannels], hostGw);
  assertEquals([taken.putRoutes.length, taken.conflicts.length], [1, 0]);
  // One that is not wanted may be an administrator's.
  const left = routes([], [flannels], hostGw);
  assertEquals(countChanges(left), 0);
});

Deno.test("planChanges() leaves another program's route in place, and names it", () => {
  const others = present("10.1.5.0/24", {
    protocol: STATIC,
    interfaceIndex: UNDERLAY,
  });
  const { conflicts, putRoutes, removeRoutes } = routes(
    [wish("10.1.5.0/24")],
    [others],
  );
  assertEquals([conflicts, putRoutes, removeRoutes], [[others], [], []]);
});

Deno.test("planChanges() touches no route outside of the network", () => {
  const changes = routes([], [present("10.2.5.0/24")]);
  assertEquals(countChanges(changes), 0);
});

Deno.test("planChanges() keeps routes of one destination apart by metric", () => {
  const { putRoutes, removeRoutes } = routes(
    [wish("10.1.0.0/16", { metric: 9 })],
    [present("10.1.0.0/16", { metric: 8 })],
  );
  assertEquals([putRoutes[0]?.metric, removeRoutes[0]?.metric], [9, 8]);
});

Deno.test("planChanges() compares neighbours by address and hardware address", () => {
  const entry = (address: string, mac: number) => ({
    interfaceIndex: DEVICE,
    address: ip(address),
    mac: macOf(mac),
  });
  const changes = planChanges(
    {
      ...NOTHING,
      neighbours: [
        entry("10.1.5.0", 1),
        entry("10.1.6.0", 2),
        entry("10.1.7.0", 3),
      ],
    },
    {
      ...NOTHING,
      neighbours: [
        entry("10.1.5.0", 1),
        entry("10.1.6.0", 9),
        entry("10.1.8.0", 4),
      ],
    },
    OWNERSHIP,
  );
  assertEquals(changes.putNeighbours, [
    entry("10.1.6.0", 2),
    entry("10.1.7.0", 3),
  ]);
  assertEquals(changes.removeNeighbours, [entry("10.1.8.0", 4)]);
});

Deno.test("planChanges() keeps a forwarding entry that another peer still needs", () => {
  const entry = (mac: number, remote: string) => ({
    interfaceIndex: DEVICE,
    mac: macOf(mac),
    remote: ip(remote),
  });
  const changes = planChanges(
    { ...NOTHING, forwarding: [entry(1, "192.0.2.12")] },
    {
      ...NOTHING,
      forwarding: [entry(1, "192.0.2.13"), entry(2, "192.0.2.14")],
    },
    OWNERSHIP,
  );
  assertEquals(changes.putForwarding, [entry(1, "192.0.2.12")]);
  assertEquals(changes.removeForwarding, [entry(2, "192.0.2.14")]);
  const shared = planChanges(
    { ...NOTHING, forwarding: [entry(1, "192.0.2.12")] },
    { ...NOTHING, forwarding: [entry(1, "192.0.2.12")] },
    OWNERSHIP,
  );
  assertEquals(countChanges(shared), 0);
});

Deno.test("planDifference() changes what differs, and leaves the rest unseen", () => {
  const entry = (address: string, mac: number) => ({
    interfaceIndex: DEVICE,
    address: ip(address),
    mac: macOf(mac),
  });
  const forward = (mac: number, remote: string) => ({
    interfaceIndex: DEVICE,
    mac: macOf(mac),
    remote: ip(remote),
  });
  const before = {
    routes: [wish("10.1.5.0/24"), wish("10.1.6.0/24")],
    neighbours: [entry("10.1.5.0", 5), entry("10.1.6.0", 6)],
    forwarding: [forward(5, "192.0.2.5"), forward(6, "192.0.2.6")],
  };
  const after = {
    routes: [wish("10.1.5.0/24"), wish("10.1.7.0/24")],
    neighbours: [entry("10.1.5.0", 5), entry("10.1.7.0", 7)],
    forwarding: [forward(5, "192.0.2.9"), forward(7, "192.0.2.7")],
  };
  // Another peer has the hardware address of the one that goes.
  const shared = forward(6, "192.0.2.66");
  const changes = planDifference(
    before,
    after,
    (macs) => {
      assertEquals([...macs].length, 3);
      return [...after.forwarding, shared];
    },
  );
  assertEquals(changes, {
    putRoutes: [wish("10.1.7.0/24")],
    removeRoutes: [wish("10.1.6.0/24")],
    putNeighbours: [entry("10.1.7.0", 7)],
    removeNeighbours: [entry("10.1.6.0", 6)],
    putForwarding: [forward(5, "192.0.2.9"), forward(7, "192.0.2.7"), shared],
    removeForwarding: [],
  });
});

Deno.test("planChanges() leaves the routes of the udp backend beside it", () => {
  const udp = present("10.1.5.0/24", {
    protocol: BOOT,
    interfaceIndex: 9,
    metric: 261,
  });
  const { conflicts, putRoutes, removeRoutes } = routes(
    [wish("10.1.5.0/24", { metric: 130 })],
    [udp],
  );
  assertEquals([conflicts, putRoutes.length, removeRoutes], [[], 1, []]);
});

Deno.test("planChanges() names a route of another program that is better than a peer's", () => {
  const others = present("10.1.5.0/24", { protocol: STATIC, metric: 7 });
  const worse = present("10.1.5.0/24", { protocol: STATIC, metric: 700 });
  const { conflicts, putRoutes } = routes(
    [wish("10.1.5.0/24", { metric: 130 })],
    [others, worse],
  );
  assertEquals([conflicts, putRoutes.length], [[others], 1]);
});
