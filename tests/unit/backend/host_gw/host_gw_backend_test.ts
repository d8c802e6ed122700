import { assertEquals, assertRejects } from "@std/assert";
import {
  createHostGwBackend,
  PublicIpNotLocalError,
} from "../../../../backend/host_gw/host_gw_backend.ts";
import { ROUTE_PROTOCOL } from "../../../../backend/reconcile/kernel_state.ts";
import { formatCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import {
  type KernelWorld,
  kernelWorld,
  peerOf,
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

Deno.test("host-gw restores removed routes, on a notification and every five seconds", async () => {
  const world = kernelWorld();
  const backend = createHostGwBackend(world.parts);
  await startWith(backend, world, [NEAR]);
  const remove = () =>
    world.rtnetlink.removeRoute({ destination: NEAR.subnet });
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
