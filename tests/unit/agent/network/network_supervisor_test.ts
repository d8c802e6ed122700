import { BACKENDS } from "../../../../backend/backends.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NetworkPlan } from "../../../../agent/network/network_plan.ts";
import { NetworkSupervisor } from "../../../../agent/network/network_supervisor.ts";
import { NetworkOfOtherAgentError } from "../../../../agent/errors.ts";
import { TaskGroup } from "../../../../agent/tasks/task_group.ts";
import { parseNetworkConfig } from "../../../../config/network/network.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import { AgentRig, type RigOptions, underlay } from "../agent_rig.ts";

const SUBNET_FILE = "/run/flannel/subnet.env";
const never = new AbortController().signal;
const PLAN: NetworkPlan = {
  config: parseNetworkConfig('{ "Network": "10.1.0.0/16" }', BACKENDS),
  underlay,
  subnet: parseCidr("10.1.5.0/24")!,
};
const PEER = {
  subnet: parseCidr("10.1.9.0/24")!,
  publicIp: parseIpv4("192.0.2.19")!,
  backendType: "udp",
  stale: false,
};
const MOVED = { subnet: parseCidr("10.1.77.0/24")! };

/** A supervisor among the agent's fakes, and what its tasks died of. */
class Rig extends AgentRig {
  readonly deaths: unknown[] = [];
  readonly tasks = new TaskGroup((_name, error) => this.deaths.push(error));
  readonly supervisor: NetworkSupervisor;

  constructor(options: RigOptions = {}) {
    super(options);
    this.supervisor = new NetworkSupervisor({
      ...this.parts(),
      tasks: this.tasks,
      advertise: () => {},
      serve: () => {},
      onFilesWritten: () => {},
    }, {
      ipMasq: options.ipMasq ?? false,
      forwardRules: true,
      randomFully: true,
      antiSpoofing: true,
      blackholeRoute: options.blackholeRoute ?? false,
      formerNetwork: undefined,
      takeOverDevices: false,
      formerBackends: [],
    });
  }

  /** Runs by {@linkcode PLAN}, with one peer, after READY. */
  async running(): Promise<this> {
    await this.supervisor.replan(PLAN, never);
    await this.supervisor.apply({ added: [PEER], changed: [], removed: [] });
    this.state.set({ ready: true });
    this.state.enter("running");
    this.calls.length = 0;
    return this;
  }

  async change(part: Partial<NetworkPlan>): Promise<void> {
    await this.supervisor.change(part);
    await this.settle();
  }

  get told() {
    return JSON.parse(this.files.get(SUBNET_FILE)!);
  }

  async end(): Promise<void> {
    await Promise.all([this.tasks.stop(), this.supervisor.stop()]);
    assertEquals(this.deaths, []);
  }
}

function isWrite(call: string): boolean {
  return call.startsWith("write ");
}

Deno.test("another subnet: data path, rules and files follow, the peers stay", async () => {
  const rig = await new Rig().running();
  await rig.change(MOVED);
  assertEquals(rig.told.subnet, MOVED.subnet);
  assertEquals(rig.state.snapshot().subnet, "10.1.77.0/24");
  assertEquals(rig.state.phase, "running");
  assertEquals(rig.backends.length, 2);
  assert(rig.backends[0]!.stopped);
  assertEquals(rig.backends[1]!.context?.subnet, MOVED.subnet);
  assertEquals([...rig.backends[1]!.peers.keys()], ["10.1.9.0/24"]);
  assertEquals(rig.calls.filter(isWrite).length, 2);
  assert(rig.calls.includes("footprint"));
  await rig.end();
});

Deno.test("the same plan again changes nothing", async () => {
  const rig = await new Rig().running();
  await rig.supervisor.replan({ ...PLAN }, never);
  assertEquals(rig.calls, []);
  await rig.end();
});

Deno.test("another pool of subnets is only taken note of", async () => {
  const rig = await new Rig().running();
  const config = parseNetworkConfig(
    '{ "Network": "10.1.0.0/16", "SubnetMin": "10.1.4.0" }',
    BACKENDS,
  );
  await rig.change({ config });
  assertEquals(rig.calls, []);
  assertEquals(rig.supervisor.current!.plan.config, config);
  await rig.end();
});

Deno.test("another firewall tool: the data path and the files are left alone", async () => {
  const rig = await new Rig({ ipMasq: true }).running();
  await rig.change({
    config: parseNetworkConfig(
      '{ "Network": "10.1.0.0/16", "EnableNFTables": true }',
      BACKENDS,
    ),
  });
  assertEquals(rig.calls, ["footprint", "firewall.set", "docker of flannel0"]);
  await rig.end();
});

Deno.test("a wider network: rules of the former one go, files say the new one", async () => {
  const rig = await new Rig({ ipMasq: true }).running();
  await rig.change({
    config: parseNetworkConfig('{ "Network": "10.0.0.0/15" }', BACKENDS),
  });
  assertEquals(rig.told.network, parseCidr("10.0.0.0/15"));
  assertEquals([...rig.firewall.sets.keys()], ["10.0.0.0/15"]);
  assert(
    rig.calls.indexOf("firewall.set") < rig.calls.findIndex(isWrite),
    "with --ip-masq the rules come first",
  );
  await rig.end();
});

Deno.test("another PublicIP changes nothing on the host, another address the data path alone", async () => {
  const rig = await new Rig().running();
  await rig.change({
    underlay: { ...underlay, publicIp: parseIpv4("203.0.113.9")! },
  });
  assertEquals(rig.backends.length, 1);
  assertEquals(rig.state.snapshot().underlay?.publicIp, "203.0.113.9");
  const address = parseIpv4("192.0.2.77")!;
  await rig.change({ underlay: { ...underlay, address } });
  assertEquals(rig.backends.length, 2);
  assertEquals(rig.backends[1]!.context?.underlay.address, address);
  assertEquals(rig.calls.filter(isWrite), []);
  await rig.end();
});

Deno.test("another MTU of the underlay is written once", async () => {
  const rig = await new Rig().running();
  await rig.change({ underlay: { ...underlay, mtuBytes: underlayMtu(9000) } });
  assertEquals(rig.told.mtuBytes, 8972);
  assertEquals(rig.calls.filter(isWrite).length, 2);
  await rig.end();
});

Deno.test("a network that another agent has is refused, and what runs goes on", async () => {
  const rig = await new Rig().running();
  const others = parseCidr("10.0.0.0/16")!;
  rig.networkError = new NetworkOfOtherAgentError(others, others, "b", 7);
  await assertRejects(
    () =>
      rig.supervisor.change({
        config: parseNetworkConfig('{ "Network": "10.0.0.0/15" }', BACKENDS),
      }),
    NetworkOfOtherAgentError,
  );
  assertEquals(rig.supervisor.current!.plan, PLAN);
  // A change that comes with it is not lost.
  await rig.change(MOVED);
  assertEquals(rig.told.subnet, MOVED.subnet);
  assertEquals(rig.told.network, parseCidr("10.1.0.0/16"));
  await rig.end();
});

Deno.test("a data path that cannot start by one plan is not waited for when the next one comes", async () => {
  let error: Error | undefined;
  const rig = await new Rig({ backend: { startError: () => error } }).running();
  error = new TypeError("no such interface");
  await rig.change({ underlay: { ...underlay, interfaceIndex: 9 } });
  await rig.clock.advance(60_000);
  assertEquals(
    rig.state.warnings().map(({ code }) => code),
    ["data-path.down"],
  );
  error = undefined;
  await rig.change(MOVED);
  assertEquals(rig.state.warnings(), []);
  assertEquals(rig.backends.at(-1)!.context?.subnet, MOVED.subnet);
  assertEquals(rig.backends.at(-1)!.context?.underlay.interfaceIndex, 9);
  assertEquals(rig.told.subnet, MOVED.subnet);
  await rig.end();
});

Deno.test("files of a plan that was passed over are not written later", async () => {
  const rig = await new Rig().running();
  rig.fileError = () => new Error("disk full");
  await rig.change(MOVED);
  await rig.clock.advance(5_000);
  await rig.change({ subnet: PLAN.subnet });
  rig.fileError = () => undefined;
  await rig.clock.advance(60_000);
  assertEquals(rig.told.subnet, PLAN.subnet);
  assertEquals(rig.calls.filter(isWrite).length, 2);
  await rig.end();
});

Deno.test("a caller that waits for the first plan waits for the one that replaced it", async () => {
  let isBroken = true;
  const rig = new Rig({
    backend: { startError: () => isBroken ? new Error("busy") : undefined },
  });
  const first = rig.supervisor.replan(PLAN, never);
  await rig.settle();
  const second = rig.supervisor.replan({ ...PLAN, ...MOVED }, never);
  await rig.settle();
  isBroken = false;
  await rig.clock.advance(10_000);
  await Promise.all([first, second]);
  assertEquals(rig.told.subnet, MOVED.subnet);
  assertEquals(rig.backends.filter(({ stopped }) => !stopped).length, 1);
  await rig.end();
});

Deno.test("peers that come while the first plan is judged are not lost", async () => {
  const rig = new Rig();
  const served = rig.supervisor.replan(PLAN, never);
  await rig.supervisor.apply({ added: [PEER], changed: [], removed: [] });
  await served;
  assertEquals([...rig.backends[0]!.peers.keys()], ["10.1.9.0/24"]);
  await rig.end();
});

Deno.test("the blackhole route moves with the subnet", async () => {
  const rig = await new Rig({ blackholeRoute: true }).running();
  await rig.change(MOVED);
  assertEquals(
    rig.calls.filter((call) => call.startsWith("blackhole")),
    ["blackhole removed", "blackhole"],
  );
  await rig.end();
});

Deno.test("the record names the newest backends, however long an older one takes to write", async () => {
  const rig = await new Rig().running();
  const changeTo = (Type: string) =>
    rig.change({
      config: parseNetworkConfig(
        JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type } }),
        BACKENDS,
      ),
    });
  await changeTo("vxlan");
  const slow = Promise.withResolvers<void>();
  rig.footprintDelay = () => slow.promise;
  await rig.supervisor.apply({ added: [], changed: [], removed: [PEER] });
  // udp has gone, and the record that says so is being written.
  await rig.clock.advance(60_000);
  rig.footprintDelay = () => Promise.resolve();
  const changed = changeTo("host-gw");
  await rig.settle();
  slow.resolve();
  await changed;
  await rig.settle();
  assertEquals(rig.recordedBackends, ["host-gw", "vxlan"]);
  await rig.end();
});
