import { assertEquals } from "@std/assert";
import {
  backendsAtStart,
  BackendSuccession,
} from "../../../../agent/network/backend_succession.ts";
import type { BackendConfig } from "../../../../config/network/backend_spec.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import type { Peer } from "../../../../net/peer.ts";
import { FakeBackend } from "../../../fakes/fake_backend.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

const context = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.5.0/24")!,
  underlay: {
    interfaceName: "eth0",
    interfaceIndex: 2,
    address: parseIpv4("192.0.2.11")!,
    publicIp: parseIpv4("192.0.2.11")!,
    mtuBytes: underlayMtu(1500),
    mac: new Uint8Array(6),
  },
};
const UDP: BackendConfig = { type: "udp", options: {} };
const VXLAN: BackendConfig = { type: "vxlan", options: {} };
const HOST_GW: BackendConfig = { type: "host-gw", options: {} };
const WIREGUARD: BackendConfig = { type: "wireguard", options: {} };
const ALLOC: BackendConfig = { type: "alloc", options: {} };
const noSignal = new AbortController().signal;
const NONE = { added: [], changed: [], removed: [] };

function peer(number: number, backendType: string): Peer {
  return {
    subnet: parseCidr(`10.1.${number}.0/24`)!,
    publicIp: parseIpv4(`192.0.2.${number}`)!,
    backendType,
    stale: false,
  };
}

class World {
  readonly clock = new FakeClock();
  readonly calls: string[] = [];
  readonly made: FakeBackend[] = [];
  readonly served: string[] = [];
  readonly ups: string[] = [];
  startError: (type: string) => unknown = () => undefined;
  stopDelay: (type: string) => Promise<void> = () => Promise.resolve();
  readonly succession: BackendSuccession;

  constructor(former: readonly BackendConfig[] = []) {
    this.succession = new BackendSuccession({
      clock: this.clock,
      random: new FakeRandom(),
    }, {
      createBackend: ({ type }) => {
        const backend = new FakeBackend({
          type,
          onCall: (call) => this.calls.push(`${type} ${call}`),
          startError: () => this.startError(type),
          stopDelay: () => this.stopDelay(type),
        });
        this.made.push(backend);
        return backend;
      },
      events: {
        onWaiting: () => {},
        onDown: () => {},
        onUp: (_overlay, { backendType }) => this.ups.push(backendType),
      },
      former,
      onBackends: (backends) =>
        this.served.push(backends.map(({ type }) => type).join()),
    });
  }

  async start(config: BackendConfig): Promise<void> {
    await this.succession.start(config, context, noSignal);
    await this.clock.settle();
  }

  /** The subnets that each running backend has, by its type. */
  get peers(): Record<string, string> {
    return Object.fromEntries(
      this.made.filter(({ stopped }) => !stopped).map((
        { peers, type },
      ) => [type, [...peers.keys()].sort().join(" ")]),
    );
  }
}

/** udp with two peers, then vxlan. */
async function changing(): Promise<World> {
  const world = new World();
  await world.start(UDP);
  await world.succession.apply({
    ...NONE,
    added: [peer(6, "udp"), peer(7, "udp")],
  });
  await world.start(VXLAN);
  return world;
}

Deno.test("until a peer's lease names the new backend, the former one serves it", async () => {
  const world = await changing();
  assertEquals(world.ups, ["udp", "vxlan"]);
  assertEquals(world.served, ["udp", "vxlan,udp"]);
  assertEquals(world.peers, { udp: "10.1.6.0/24 10.1.7.0/24", vxlan: "" });
  await world.succession.apply({ ...NONE, changed: [peer(6, "vxlan")] });
  // udp checks senders: packets of that peer may still be on their way.
  assertEquals(world.peers, {
    udp: "10.1.6.0/24 10.1.7.0/24",
    vxlan: "10.1.6.0/24",
  });
  const { details, peers } = world.succession.status()!;
  assertEquals([peers, details], [2, {
    "still by udp": "1 peer, until their leases name vxlan",
  }]);
  await world.clock.advance(31_000);
  assertEquals(world.peers, { udp: "10.1.7.0/24", vxlan: "10.1.6.0/24" });
  await world.succession.stop();
});

Deno.test("a former backend is removed when no lease names it any more", async () => {
  const world = await changing();
  await world.succession.apply({
    ...NONE,
    changed: [peer(6, "vxlan"), peer(7, "vxlan")],
  });
  await world.clock.advance(29_000);
  assertEquals(world.made[0]!.removed, false);
  await world.clock.advance(5_000);
  const [udp, vxlan] = world.made;
  assertEquals([udp!.stopped, udp!.removed], [true, true]);
  assertEquals([vxlan!.stopped, vxlan!.removed], [false, false]);
  assertEquals(world.served.at(-1), "vxlan");
  assertEquals(world.succession.formerDevices, []);
  await world.succession.stop();
});

Deno.test("a peer that goes is taken from the former backend at once", async () => {
  const world = await changing();
  await world.succession.apply({ ...NONE, removed: [peer(6, "udp")] });
  assertEquals(world.peers, { udp: "10.1.7.0/24", vxlan: "" });
  await world.succession.stop();
});

Deno.test("a peer that changes before this host is served as before until the new backend runs", async () => {
  const world = new World();
  await world.start(UDP);
  await world.succession.apply({ ...NONE, added: [peer(6, "udp")] });
  let refuses = true;
  world.startError = (type) =>
    refuses && type === "vxlan" ? new Error("no module") : undefined;
  const started = world.succession.start(VXLAN, context, noSignal);
  await world.clock.settle();
  await world.succession.apply({ ...NONE, changed: [peer(6, "vxlan")] });
  // Longer than a backend keeps a peer that has changed.
  await world.clock.advance(40_000);
  assertEquals(world.peers, { udp: "10.1.6.0/24" });
  refuses = false;
  await world.clock.advance(60_000);
  await started;
  await world.clock.settle();
  assertEquals(world.peers.vxlan, "10.1.6.0/24");
  await world.succession.stop();
});

Deno.test("a change back continues with the backend that still runs", async () => {
  const world = await changing();
  await world.succession.apply({ ...NONE, changed: [peer(6, "vxlan")] });
  await world.start(UDP);
  assertEquals(world.made.length, 2);
  assertEquals(world.ups, ["udp", "vxlan", "udp"]);
  assertEquals(world.served.at(-1), "udp,vxlan");
  await world.succession.apply({ ...NONE, changed: [peer(6, "udp")] });
  // vxlan checks no senders and gives the peer up at once.
  assertEquals(world.peers, { udp: "10.1.6.0/24 10.1.7.0/24", vxlan: "" });
  await world.clock.advance(40_000);
  assertEquals(world.made.map(({ removed }) => removed), [false, true]);
  await world.succession.stop();
});

Deno.test("a third backend may follow before the second change is over", async () => {
  const world = await changing();
  await world.succession.apply({ ...NONE, changed: [peer(6, "vxlan")] });
  await world.start(HOST_GW);
  assertEquals(world.served.at(-1), "host-gw,vxlan,udp");
  await world.succession.apply({ ...NONE, changed: [peer(6, "host-gw")] });
  assertEquals(world.peers["host-gw"], "10.1.6.0/24");
  assertEquals(world.peers.vxlan, "");
  await world.succession.stop();
});

Deno.test("a backend that runs alone gets its peers after the former one is removed", async () => {
  const world = new World();
  await world.start(UDP);
  await world.succession.apply({
    ...NONE,
    added: [peer(6, "udp"), peer(7, "udp")],
  });
  let refuses = true;
  world.startError = (type) =>
    refuses && type === "wireguard" ? new Error("no module") : undefined;
  const started = world.succession.start(WIREGUARD, context, noSignal);
  await world.clock.settle();
  // The former one goes on, but not for a peer that encrypts.
  await world.succession.apply({ ...NONE, changed: [peer(6, "wireguard")] });
  assertEquals(world.peers, { udp: "10.1.7.0/24" });
  refuses = false;
  world.calls.length = 0;
  await world.clock.advance(60_000);
  await started;
  await world.clock.settle();
  const removed = world.calls.indexOf("udp backend.remove");
  assertEquals(removed >= 0, true);
  assertEquals(removed < world.calls.indexOf("wireguard backend.apply"), true);
  assertEquals(world.peers, { wireguard: "10.1.6.0/24" });
  assertEquals(world.served.at(-1), "wireguard");
  // A peer that has not changed is not served in clear text.
  await world.succession.apply({ ...NONE, changed: [peer(7, "udp")] });
  assertEquals(world.peers, { wireguard: "10.1.6.0/24" });
  await world.succession.stop();
});

Deno.test("a start continues the change that an earlier run has begun", async () => {
  const world = new World([UDP]);
  await world.start(VXLAN);
  assertEquals(world.served, ["vxlan,udp"]);
  await world.succession.apply({
    ...NONE,
    added: [peer(6, "udp"), peer(7, "vxlan")],
  });
  assertEquals(world.peers, { udp: "10.1.6.0/24", vxlan: "10.1.7.0/24" });
  await world.succession.stop();
});

Deno.test("a former backend stays until the peers are known", async () => {
  const world = new World([UDP]);
  await world.start(VXLAN);
  await world.clock.advance(120_000);
  assertEquals(world.made.some(({ removed }) => removed), false);
  world.succession.confirmPeers();
  await world.clock.advance(40_000);
  assertEquals(world.made.find(({ type }) => type === "udp")!.removed, true);
  await world.succession.stop();
});

Deno.test("former backends are started only beside one that allows it", () => {
  assertEquals(backendsAtStart(VXLAN, [UDP, VXLAN, ALLOC]), [VXLAN, UDP]);
  assertEquals(backendsAtStart(ALLOC, [UDP]), [ALLOC]);
});

Deno.test("a former backend that the config names again is not removed with another", async () => {
  const world = new World();
  await world.start(UDP);
  await world.succession.apply({ ...NONE, added: [peer(6, "udp")] });
  await world.start(VXLAN);
  await world.start(HOST_GW);
  // vxlan has nothing to do from the first look on, udp from the last one on.
  await world.clock.advance(30_500);
  const stopped = Promise.withResolvers<void>();
  world.stopDelay = (type) =>
    type === "vxlan" ? stopped.promise : Promise.resolve();
  await world.succession.apply({ ...NONE, removed: [peer(6, "udp")] });
  await world.clock.advance(1_000);
  assertEquals(world.calls.at(-1), "vxlan backend.stop");
  const back = world.succession.start(UDP, context, noSignal);
  await world.clock.settle();
  stopped.resolve();
  await back;
  await world.clock.settle();
  assertEquals(world.peers, { udp: "", "host-gw": "" });
  await world.succession.stop();
});

Deno.test("a former backend that is down is started when the config names it again", async () => {
  const world = await changing();
  world.made[0]!.fail(new Error("the device is gone"));
  await world.clock.settle();
  assertEquals(world.peers, { vxlan: "" });
  await world.start(UDP);
  assertEquals(world.peers, { udp: "10.1.6.0/24 10.1.7.0/24", vxlan: "" });
  await world.succession.stop();
});

Deno.test("a backend without outer packets has none, as soon as it runs", async () => {
  const world = new World();
  assertEquals(world.succession.underlayUse(), undefined);
  await world.start(UDP);
  // Otherwise the rules for the former backend's packets would stay.
  assertEquals(world.succession.underlayUse(), { traffic: [], devices: [] });
  await world.succession.stop();
  assertEquals(world.succession.underlayUse(), undefined);
});

Deno.test("devices of peers on the link are those of all backends, once the present one knows its own", async () => {
  const world = await changing();
  const { made: [udp, vxlan], succession } = world;
  assertEquals(succession.directDevices(), []);
  Object.assign(udp!, { directDevices: () => ["eth1"] });
  assertEquals(succession.directDevices(), ["eth1"]);
  let known: string[] | undefined = undefined;
  Object.assign(vxlan!, { directDevices: () => known });
  // Otherwise Docker would drop packets until they are known.
  assertEquals(succession.directDevices(), undefined);
  known = ["eth0", "eth1"];
  assertEquals(succession.directDevices(), ["eth0", "eth1"]);
  await succession.stop();
  assertEquals(succession.directDevices(), undefined);
});
