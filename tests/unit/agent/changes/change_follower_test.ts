import { BackendObstacleError } from "../../../../backend/errors.ts";
import { BACKENDS } from "../../../../backend/backends.ts";
import { assertEquals } from "@std/assert";
import { parseNetworkConfig } from "../../../../config/network/network.ts";
import { LodenError } from "../../../../errors.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { AgentRig, CONFIG, type RigOptions, underlay } from "../agent_rig.ts";

const WIDER = '{ "Network": "10.0.0.0/8" }';
const ELSEWHERE = '{ "Network": "10.2.0.0/16" }';
const NARROWER = '{ "Network": "10.1.0.0/16", "SubnetMin": "10.1.3.0" }';
/** What DHCP has given. */
const ADDRESS = parseIpv4("192.0.2.77")!;
const MOVED = { ...underlay, address: ADDRESS, publicIp: ADDRESS };

/** An agent that runs until the end of the test. */
class World implements AsyncDisposable {
  readonly logs = new CapturedLogs();
  readonly rig: AgentRig;

  constructor(options?: RigOptions) {
    this.rig = new AgentRig(options);
  }

  static async start(options?: RigOptions): Promise<World> {
    const world = new World(options);
    await world.rig.start();
    await world.rig.clock.advance(1_000);
    return world;
  }

  async publish(config: string): Promise<void> {
    this.rig.etcd.putConfig(config);
    await this.rig.settle();
  }

  /** The kernel tells of it, and the look finds this. */
  async find(finding: AgentRig["underlayFinding"]): Promise<void> {
    this.rig.underlayFinding = finding;
    this.rig.monitor.tell("addresses");
    await this.rig.clock.advance(1_000);
  }

  get problems(): string[] {
    return this.rig.state.warnings().map(({ code }) => code);
  }

  /** What the data path was started with last. */
  get runs() {
    const { network, subnet, underlay } = this.rig.backends
      .findLast(({ context }) => context !== undefined)!.context!;
    return {
      network: formatCidr(network),
      subnet: formatCidr(subnet),
      address: formatIpv4(underlay.address),
    };
  }

  get starts(): number {
    return this.rig.calls.filter((call) => call === "backend.start").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig.stop();
    this.logs[Symbol.dispose]();
  }
}

Deno.test("a wider network is taken by all that depend on it", async () => {
  await using world = await World.start();
  const { files, membership, state } = world.rig;
  await world.publish(WIDER);
  assertEquals(world.runs.network, "10.0.0.0/8");
  assertEquals(world.runs.subnet, "10.1.5.0/24");
  assertEquals(membership.updates.map(({ config }) => config?.raw), [WIDER]);
  assertEquals(state.snapshot().network, "10.0.0.0/8");
  for (const text of files.values()) {
    assertEquals(formatCidr(JSON.parse(text).network), "10.0.0.0/8");
  }
  assertEquals(world.problems, []);
});

Deno.test("bounds that only the next allocation needs leave the data path alone", async () => {
  await using world = await World.start();
  await world.publish(NARROWER);
  assertEquals(world.starts, 1);
  assertEquals(
    world.rig.membership.updates.map(({ config }) => config?.raw),
    [NARROWER],
  );
});

Deno.test("a config that cannot be taken is a warning, and everything stays until a good one comes", async () => {
  await using world = await World.start();
  await world.publish(ELSEWHERE);
  assertEquals(world.problems, ["config.refused"]);
  assertEquals(world.rig.membership.updates, []);
  assertEquals(world.starts, 1);
  await world.publish("{");
  assertEquals(world.problems, ["config.refused"]);
  await world.publish(CONFIG);
  assertEquals(world.problems, []);
  assertEquals(world.starts, 1);
  assertEquals(world.logs.events("config.refused").length, 2);
  assertEquals(world.logs.events("config.accepted").length, 1);
});

Deno.test("a network that another agent of this host has is refused, and nothing has changed", async () => {
  await using world = await World.start();
  world.rig.networkError = new LodenError("agent.network-in-use", "taken");
  await world.publish(WIDER);
  assertEquals(world.problems, ["config.refused"]);
  assertEquals(world.runs.network, "10.1.0.0/16");
  assertEquals(world.rig.membership.updates, []);
});

Deno.test("another address goes to the data path, to the lease and to new connections", async () => {
  await using world = await World.start();
  const { calls, files, membership, state } = world.rig;
  const written = files.size;
  await world.find({ kind: "moved", underlay: MOVED });
  assertEquals(world.runs.address, "192.0.2.77");
  assertEquals(membership.updates, [{ underlay: MOVED }]);
  assertEquals(calls.filter((call) => call === "registry.reconnect").length, 1);
  assertEquals(state.snapshot().underlay?.publicIp, "192.0.2.77");
  // The peers of before are the peers of now.
  assertEquals(state.snapshot().backend?.peers, 1);
  assertEquals(files.size, written);
  assertEquals(world.logs.events("underlay.changed").length, 1);
});

Deno.test("another MTU reaches the files, and Docker must be restarted", async () => {
  await using world = await World.start();
  await world.find({
    kind: "same",
    underlay: { ...underlay, mtuBytes: underlayMtu(1400) },
  });
  for (const text of world.rig.files.values()) {
    assertEquals(JSON.parse(text).mtuBytes, 1372);
  }
  assertEquals(world.logs.events("overlay.mtu-changed").length, 1);
  assertEquals(world.rig.calls.includes("registry.reconnect"), false);
});

Deno.test("an underlay that is gone is a warning, and everything stays", async () => {
  await using world = await World.start();
  await world.find({ kind: "unusable", reason: "eth0 is gone" });
  await world.rig.clock.advance(3_000);
  assertEquals(world.problems, ["underlay.missing"]);
  assertEquals(world.starts, 1);
  await world.find(undefined);
  assertEquals(world.problems, []);
  assertEquals(world.starts, 1);
});

Deno.test("what changes while the lease is waited for is what the network starts with", async () => {
  const lease = Promise.withResolvers<void>();
  await using world = new World({ acquireDelay: () => lease.promise });
  await world.rig.start();
  await world.publish(ELSEWHERE);
  await world.find({ kind: "moved", underlay: MOVED });
  const { membership } = world.rig;
  assertEquals(membership.updates, [
    {
      config: parseNetworkConfig(
        ELSEWHERE,
        BACKENDS,
        "/coreos.com/network/config",
      ),
    },
    { underlay: MOVED },
  ]);
  membership.subnet = parseCidr("10.2.5.0/24")!;
  lease.resolve();
  await world.rig.clock.advance(1_000);
  assertEquals(world.runs, {
    network: "10.2.0.0/16",
    subnet: "10.2.5.0/24",
    address: "192.0.2.77",
  });
  assertEquals(world.problems, []);
});

Deno.test("a subnet that the newest config does not admit any more is given up for one that it does", async () => {
  const lease = Promise.withResolvers<void>();
  let tries = 0;
  await using world = new World({
    acquireDelay: async () => {
      if (++tries === 1) return await lease.promise;
      world.rig.membership.subnet = parseCidr("10.2.5.0/24")!;
    },
  });
  await world.rig.start();
  await world.publish(ELSEWHERE);
  lease.resolve();
  await world.rig.clock.advance(1_000);
  assertEquals(tries, 2);
  assertEquals(world.runs.subnet, "10.2.5.0/24");
});

Deno.test("a network that runs from saved state follows its underlay, and keeps to it when etcd is back", async () => {
  await using world = new World({
    saved: {
      config: parseNetworkConfig(CONFIG, BACKENDS),
      subnet: parseCidr("10.1.5.0/24")!,
      peers: [],
    },
  });
  const { clock, etcd } = world.rig;
  etcd.fault = "refused";
  await world.rig.start();
  await clock.advance(3_000);
  assertEquals(world.runs.address, "192.0.2.11");
  await world.find({ kind: "moved", underlay: MOVED });
  assertEquals(world.runs.address, "192.0.2.77");
  etcd.fault = undefined;
  await clock.advance(30_000);
  assertEquals(world.rig.state.snapshot().fromSavedState, false);
  assertEquals(world.rig.membership.requested?.underlay, MOVED);
  assertEquals(world.runs.address, "192.0.2.77");
});

Deno.test("another backend is started beside the running one, and the lease follows", async () => {
  await using world = await World.start();
  const { rig } = world;
  await world.publish('{"Network":"10.1.0.0/16","Backend":{"Type":"host-gw"}}');
  await rig.clock.advance(1_000);
  assertEquals(world.problems, []);
  assertEquals(rig.membership.served.at(-1), ["host-gw", "udp"]);
  assertEquals(rig.membership.advertised.at(-1), { backendType: "host-gw" });
  const [udp] = rig.backends.filter(({ context }) => context !== undefined);
  assertEquals([udp!.type, udp!.stopped], ["udp", false]);
});

Deno.test("a backend that this host cannot run is refused, and the former one goes on", async () => {
  await using world = await World.start();
  const { rig } = world;
  rig.backendRefusal = new BackendObstacleError("wireguard", "no module");
  await world.publish(
    '{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}',
  );
  await rig.clock.advance(1_000);
  assertEquals(world.problems, ["config.refused"]);
  assertEquals(rig.membership.served.at(-1), ["udp"]);
  assertEquals(rig.backends.every(({ removed }) => !removed), true);
});
