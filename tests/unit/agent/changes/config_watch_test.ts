import { CommandsNotAllowedError } from "../../../../backend/extension/errors.ts";
import { BACKENDS } from "../../../../backend/backends.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { ConfigWatch } from "../../../../agent/changes/config_watch.ts";
import { AgentState } from "../../../../agent/status/state.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../../../config/network/network.ts";
import { describeError, LodenError } from "../../../../errors.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";

const CONFIG = '{ "Network": "10.1.0.0/16" }';
const WIDER = '{ "Network": "10.0.0.0/8" }';
const ELSEWHERE = '{ "Network": "10.2.0.0/16" }';

/** A watch over a fake etcd, with what it makes of the configs. */
class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly logs = new CapturedLogs();
  readonly applied: string[] = [];
  running: NetworkConfig = parseNetworkConfig(CONFIG, BACKENDS);
  refusal: LodenError | undefined;
  readonly state = new AgentState({
    version: "0.1.0",
    pid: 1,
    instance: "n",
    etcdPrefix: "/coreos.com/network",
    etcdEndpoints: [],
  }, this.clock);
  readonly #ending = new AbortController();
  #ended: Promise<void> | undefined;

  static async start(config: string | undefined = CONFIG): Promise<World> {
    const world = new World();
    if (config !== undefined) world.etcd.putConfig(config);
    const watch = new ConfigWatch({
      clock: world.clock,
      random: new FakeRandom(),
      registry: new FakeRegistry(world.etcd),
      state: world.state,
      refuseBackend: (type) =>
        type === "extension" ? new CommandsNotAllowedError() : undefined,
    }, {
      etcd: {
        etcdEndpoints: ["http://192.0.2.1:2379"],
        etcdPrefix: "/coreos.com/network",
        etcdCaFile: "",
        etcdCertFile: "",
        etcdKeyFile: "",
        etcdUsername: "",
        etcdPasswordFile: "",
      },
      running: () => ({
        config: world.running,
        subnet: parseCidr("10.1.5.0/24")!,
        peers: [],
      }),
      apply: (config) => {
        if (world.refusal) return Promise.reject(world.refusal);
        world.running = config;
        world.applied.push(config.raw);
        return Promise.resolve();
      },
    });
    world.#ended = watch.run(world.#ending.signal);
    await world.settle();
    return world;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await this.clock.settle();
  }

  async publish(config: string): Promise<void> {
    this.etcd.putConfig(config);
    await this.settle();
  }

  get problem(): string | undefined {
    return this.state.warnings().find(({ code }) => code === "config.refused")
      ?.text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error("the end"));
    await this.settle();
    // It must end by itself.
    await this.#ended;
    this.logs[Symbol.dispose]();
  }
}

Deno.test("the config that runs already is left alone", async () => {
  await using world = await World.start();
  await world.publish(CONFIG);
  assertEquals(world.applied, []);
  assertEquals(world.logs.events("config.changed"), []);
});

Deno.test("a change before the watch began is seen", async () => {
  await using world = await World.start(WIDER);
  assertEquals(world.applied, [WIDER]);
});

Deno.test("a change is applied, and the log says what", async () => {
  await using world = await World.start();
  await world.publish(WIDER);
  assertEquals(world.applied, [WIDER]);
  const [event] = world.logs.events("config.changed");
  assertEquals(event?.["changes"], [
    "Network: 10.1.0.0/16 -> 10.0.0.0/8",
    "SubnetMin: 10.1.1.0 -> 10.0.1.0",
    "SubnetMax: 10.1.255.0 -> 10.255.255.0",
  ]);
  assertEquals(world.problem, undefined);
});

Deno.test("an unknown key is reported, and the text is accepted", async () => {
  await using world = await World.start();
  const text = '{ "Network": "10.1.0.0/16", "SubnetMinn": "10.1.2.0" }';
  await world.publish(text);
  assertEquals(world.applied, [text]);
  assertEquals(world.logs.events("config.key-ignored").length, 1);
});

for (
  const [what, config, words] of [
    ["one that cannot be taken", ELSEWHERE, "Network must contain"],
    ["one that is no JSON", "{", "JSON"],
    [
      "one with a backend that is not there",
      '{ "Network": "10.1.0.0/16", "Backend": { "Type": "carrier-pigeon" } }',
      "Backend.Type",
    ],
    [
      "one whose backend the administrator does not allow",
      '{ "Network": "10.1.0.0/16", "Backend": { "Type": "extension" } }',
      "--allow-extension-commands",
    ],
  ] as const
) {
  Deno.test(`${what} is refused once, and forgotten when the old one is back`, async () => {
    await using world = await World.start();
    await world.publish(config);
    await world.publish(config);
    assertStringIncludes(world.problem!, words);
    assertEquals(world.logs.events("config.refused").length, 1);
    assertEquals(world.applied, []);
    await world.publish(CONFIG);
    assertEquals(world.problem, undefined);
    assertEquals(world.logs.events("config.accepted").length, 1);
    assertEquals(world.applied, []);
  });
}

Deno.test("a refused config is followed by one that is taken", async () => {
  await using world = await World.start();
  await world.publish(ELSEWHERE);
  await world.publish(WIDER);
  assertEquals(world.applied, [WIDER]);
  assertEquals(world.problem, undefined);
});

Deno.test("a deleted config is a warning that names the commands to publish the running one", async () => {
  await using world = await World.start();
  world.etcd.deleteConfig();
  await world.settle();
  assertStringIncludes(world.problem!, "/coreos.com/network/config must be");
  assertStringIncludes(world.problem!, `loden config put`);
  assertStringIncludes(world.problem!, `'${CONFIG}'`);
  await world.publish(CONFIG);
  assertEquals(world.problem, undefined);
});

Deno.test("what the host cannot do is refused with its reason", async () => {
  await using world = await World.start();
  world.refusal = new LodenError(
    "agent.network-overlap",
    "Cannot: it overlaps",
  );
  await world.publish(WIDER);
  assertStringIncludes(world.problem!, "it overlaps");
  assertEquals(world.running.raw, CONFIG);
});

Deno.test("a change while etcd was away is seen when it is back, and the outage is no refusal", async () => {
  await using world = await World.start();
  world.etcd.fault = "unreachable";
  world.etcd.breakWatches("unreachable");
  await world.settle();
  world.etcd.putConfig(WIDER);
  await world.clock.advance(30_000);
  assertEquals(world.applied, []);
  assertEquals(world.problem, undefined);
  assertEquals(world.logs.events("config.unwatched").length, 1);
  world.etcd.fault = undefined;
  await world.clock.advance(5_000);
  await world.settle();
  assertEquals(world.applied, [WIDER]);
});

Deno.test("a value that is no text is refused, and read again", async () => {
  await using world = await World.start();
  world.etcd.fault = "bad-value";
  world.etcd.breakWatches("bad-value");
  await world.settle();
  assertStringIncludes(world.problem!, "readable");
  world.etcd.fault = undefined;
  await world.clock.advance(15_000);
  await world.settle();
  assertEquals(world.problem, undefined);
});

Deno.test("the warning about a deleted config does not show its preshared key", async () => {
  const PSK = new Uint8Array(32).fill(7).toBase64();
  const text = JSON.stringify({
    Network: "10.1.0.0/16",
    Backend: { Type: "wireguard", PSK },
  });
  await using world = await World.start(text);
  assertEquals(world.applied, [text]);
  world.etcd.deleteConfig();
  await world.settle();
  assertStringIncludes(world.problem!, '"PSK":"hidden"');
  const [event] = world.logs.events("config.refused");
  assertStringIncludes(describeError(event?.["error"]), "hidden");
  assertEquals(describeError(event?.["error"]).includes(PSK), false);
});
