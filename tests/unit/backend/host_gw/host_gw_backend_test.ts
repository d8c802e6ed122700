import { assertEquals, assertRejects } from "@std/assert";
import {
  createHostGwBackend,
  PublicIpNotLocalError,
} from "../../../../backend/host_gw/host_gw_backend.ts";
import { ROUTE_PROTOCOL } from "../../../../backend/reconcile/kernel_state.ts";
import { RouteClaims } from "../../../../backend/reconcile/route_claims.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import {
  type KernelWorld,
  kernelWorld,
  peerOf,
  removeRoute,
  startWith,
} from "../kernel_world.ts";

const NEAR = peerOf("10.1.5.0/24", "192.0.2.12", "host-gw");
const FAR = peerOf("10.1.6.0/24", "203.0.113.9", "host-gw");

function ownRoutes({ rtnetlink }: KernelWorld): string[] {
  return rtnetlink.routes()
    .filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
    .map(({ destination, gateway, type }) =>
      `${type} ${formatCidr(destination)}${
        gateway === undefined ? "" : ` via ${formatIpv4(gateway)}`
      }`
    );
}

Deno.test("host-gw routes a peer's subnet to the peer, and keeps the rest from leaving", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  const overlay = await backend.start(
    world.context,
    new AbortController().signal,
  );
  assertEquals(overlay, { deviceName: undefined, mtuBytes: 1500 as never });
  assertEquals(ownRoutes(world), []);
  await backend.apply({ added: [NEAR], changed: [], removed: [] });
  assertEquals(ownRoutes(world), [
    "unreachable 10.1.0.0/16",
    "unicast 10.1.5.0/24 via 192.0.2.12",
  ]);
  await backend.apply({ added: [], changed: [], removed: [NEAR] });
  assertEquals(ownRoutes(world), ["unreachable 10.1.0.0/16"]);
  await backend.stop();
});

Deno.test("host-gw does not look at its routes when a neighbour of the underlay changes", async () => {
  const world = kernelWorld();
  let watched: (() => number | undefined) | undefined;
  const backend = createHostGwBackend({
    ...world.parts,
    openMonitor: (neighboursOf) => {
      watched = neighboursOf;
      return world.monitor;
    },
  });
  await startWith(backend, world, [NEAR]);
  assertEquals(typeof watched, "function");
  assertEquals(watched!(), undefined);
  await backend.stop();
});

Deno.test("host-gw names a peer that is not on the link, and serves the others", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  await startWith(backend, world, [FAR, NEAR]);
  assertEquals(ownRoutes(world), [
    "unreachable 10.1.0.0/16",
    "unicast 10.1.5.0/24 via 192.0.2.12",
  ]);
  const { details, peers } = backend.status();
  assertEquals(peers, 1);
  assertEquals(details, {
    "not served: 10.1.6.0/24":
      "203.0.113.9 is behind the router 192.0.2.1, not on the link of eth1",
  });
  await backend.stop();
});

Deno.test("host-gw names the devices on which peers' packets arrive, once it knows the peers", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  assertEquals(backend.directDevices(), undefined);
  await startWith(backend, world, []);
  // Without encapsulation nothing is an outer packet.
  assertEquals(backend.underlayUse(), { traffic: [], devices: ["eth1"] });
  await backend.apply({ added: [NEAR], changed: [], removed: [] });
  assertEquals(backend.directDevices(), ["eth1"]);
  await backend.stop();
});

Deno.test("host-gw restores removed routes, on a notification and every five seconds", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  await startWith(backend, world, [NEAR]);
  const remove = () => removeRoute(world, NEAR.subnet);
  assertEquals(remove(), true);
  world.monitor.tell("routes");
  await world.clock.advance(100);
  assertEquals(ownRoutes(world).length, 2);
  assertEquals(remove(), true);
  await world.clock.advance(5_000);
  assertEquals(ownRoutes(world).length, 2);
  await backend.stop();
  // What is in the kernel stays.
  assertEquals(ownRoutes(world).length, 2);
});

Deno.test("host-gw keeps the peers of an earlier run until it knows the peers", async () => {
  const world = kernelWorld();
  const first = createHostGwBackend(world.parts);
  await startWith(first, world, [NEAR]);
  await first.stop();
  const second = createHostGwBackend(world.parts);
  await second.start(world.context, new AbortController().signal);
  world.monitor.tell("routes");
  await world.clock.advance(5_000);
  assertEquals(ownRoutes(world).length, 2);
  await second.apply({ added: [], changed: [], removed: [] });
  assertEquals(ownRoutes(world), ["unreachable 10.1.0.0/16"]);
  await second.stop();
});

Deno.test("host-gw refuses a public address that the host does not have", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  const publicIp = parseIpv4("203.0.113.1")!;
  const underlay = { ...world.context.underlay, publicIp };
  const error = await assertRejects(
    () =>
      backend.start(
        { ...world.context, underlay },
        new AbortController().signal,
      ),
    PublicIpNotLocalError,
  );
  assertEquals([error.code, error.retryable], ["backend.public-ip", false]);
  await backend.stop();
});

/** Counts the calls of `name` while `work` runs. */
async function countCalls(
  { parts }: KernelWorld,
  name: "routes" | "routeTo",
  work: () => Promise<void>,
): Promise<number> {
  let calls = 0;
  const { rtnetlink } = parts;
  const original = rtnetlink[name].bind(rtnetlink) as () => never;
  Object.defineProperty(rtnetlink, name, {
    configurable: true,
    value: (...args: []) => {
      calls++;
      return original(...args);
    },
  });
  await work();
  delete (rtnetlink as unknown as Record<string, unknown>)[name];
  return calls;
}

Deno.test("a change of one peer asks about that peer alone, and lists no routes", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  const peers = Array.from(
    { length: 50 },
    (_, number) => peerOf(`10.1.${100 + number}.0/24`, "192.0.2.12", "host-gw"),
  );
  await startWith(backend, world, peers);
  const change = () =>
    backend.apply({ added: [NEAR], changed: [], removed: [peers[0]!] });
  assertEquals(await countCalls(world, "routes", change), 0);
  assertEquals(
    await countCalls(
      world,
      "routeTo",
      () => backend.apply({ added: [], changed: [NEAR], removed: [] }),
    ),
    1,
  );
  assertEquals(ownRoutes(world).length, 51);
  assertEquals(
    ownRoutes(world).includes("unicast 10.1.100.0/24 via 192.0.2.12"),
    false,
  );
  await backend.stop();
});

Deno.test("a peer that has moved behind a router is named when the routes change", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  const peer = peerOf("10.1.9.0/24", "198.51.100.9", "host-gw");
  const { rtnetlink, underlayIndex } = world;
  const address = parseIpv4("198.51.100.1")!;
  const direct = { address, prefixLength: 24 };
  rtnetlink.ensureAddress(underlayIndex, direct);
  await startWith(backend, world, [peer]);
  assertEquals(ownRoutes(world).length, 2);
  rtnetlink.removeAddress(underlayIndex, direct);
  world.monitor.tell("routes");
  await world.clock.advance(100);
  assertEquals(ownRoutes(world).length, 1);
  assertEquals(backend.status().peers, 0);
  await backend.stop();
});

Deno.test("peers that fill the neighbour table are a warning before it is full", async () => {
  const world = kernelWorld();
  const parts = { ...world.parts, neighbourLimit: () => 10 };
  const backend = createHostGwBackend(parts);
  const peers = [11, 12, 13, 14, 15, 16, 17].map((number) =>
    peerOf(`10.1.${number}.0/24`, "192.0.2.12", "host-gw")
  );
  await startWith(backend, world, peers);
  assertEquals(backend.warnings(), []);
  await backend.apply({ added: [NEAR, FAR], changed: [], removed: [] });
  assertEquals(backend.warnings().map(({ code }) => code), [
    "backend.neighbours",
  ]);
  await backend.stop();
});

Deno.test("host-gw leaves the routes of a backend beside it, and removes its own alone", async () => {
  const world = kernelWorld();
  const claims = new RouteClaims();
  const others = claims.open();
  const theirs = {
    destination: parseCidr("10.1.77.0/24")!,
    gateway: parseIpv4("192.0.2.77")!,
    interfaceIndex: world.underlayIndex,
    protocol: ROUTE_PROTOCOL,
  };
  others.set([theirs]);
  world.rtnetlink.replaceRoute(theirs);
  const backend = createHostGwBackend(world.parts);
  await backend.start(
    { ...world.context, claim: claims.open() },
    new AbortController().signal,
  );
  await backend.apply({ added: [NEAR], changed: [], removed: [] });
  assertEquals(ownRoutes(world).length, 3);
  await backend.stop();
  backend.remove();
  assertEquals(ownRoutes(world), [
    "unreachable 10.1.0.0/16",
    "unicast 10.1.77.0/24 via 192.0.2.77",
  ]);
});

Deno.test("a peer that comes after a failure is served at once", async () => {
  const world = kernelWorld();
  // Whatever takes time is followed by a rest.
  let nowMs = 0;
  const clock = {
    monotonic: () => nowMs += 10,
    sleep: world.clock.sleep.bind(world.clock),
  };
  const backend = createHostGwBackend({ ...world.parts, clock });
  await startWith(backend, world, [NEAR]);
  const { rtnetlink } = world;
  const replaceRoutes = rtnetlink.replaceRoutes.bind(rtnetlink);
  rtnetlink.replaceRoutes = () => {
    throw new Error("refused");
  };
  const first = peerOf("10.1.7.0/24", "192.0.2.17", "host-gw");
  const diff = { added: [first], changed: [], removed: [] };
  await assertRejects(() => backend.apply(diff), Error, "refused");
  rtnetlink.replaceRoutes = replaceRoutes;
  const second = peerOf("10.1.8.0/24", "192.0.2.18", "host-gw");
  await backend.apply({ added: [second], changed: [], removed: [NEAR] });
  assertEquals(ownRoutes(world), [
    "unreachable 10.1.0.0/16",
    "unicast 10.1.7.0/24 via 192.0.2.17",
    "unicast 10.1.8.0/24 via 192.0.2.18",
  ]);
  await backend.stop();
});
