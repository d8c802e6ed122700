import { assert, assertEquals, assertRejects } from "@std/assert";
import { BackendKeeper } from "../../../../agent/network/backend_keeper.ts";
import { LodenError } from "../../../../errors.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import type { Peer } from "../../../../net/peer.ts";
import {
  FakeBackend,
  type FakeBackendOptions,
} from "../../../fakes/fake_backend.ts";
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

function peer(subnet: string, publicIp = "192.0.2.12"): Peer {
  return {
    subnet: parseCidr(subnet)!,
    publicIp: parseIpv4(publicIp)!,
    backendType: "udp",
    stale: false,
  };
}

function rig(options: FakeBackendOptions = {}) {
  const clock = new FakeClock();
  const backends: FakeBackend[] = [];
  const events: string[] = [];
  const dataPath = new BackendKeeper({ clock, random: new FakeRandom() }, {
    createBackend: () => {
      const backend = new FakeBackend(options);
      backends.push(backend);
      return backend;
    },
    events: {
      onWaiting: (error) => events.push(`waiting: ${(error as Error).message}`),
      onDown: (error) => events.push(`down: ${(error as Error).message}`),
      onUp: (overlay) => events.push(`up: ${overlay.mtuBytes}`),
    },
  });
  return { clock, backends, events, dataPath };
}

const noSignal = new AbortController().signal;
const none = { added: [], changed: [], removed: [] };

Deno.test("peers that came before the start are given to the backend at once", async () => {
  const { backends, events, dataPath } = rig();
  await dataPath.apply({ ...none, added: [peer("10.1.6.0/24")] });
  await dataPath.start(context, noSignal);
  assertEquals([...backends[0]!.peers.keys()], ["10.1.6.0/24"]);
  assertEquals(events, ["up: 1472"]);
});

Deno.test("a start that waiting may cure is repeated with pauses", async () => {
  let failures = 2;
  const { clock, backends, events, dataPath } = rig({
    startError: () => failures-- > 0 ? new LodenError("x", "busy") : undefined,
  });
  const started = dataPath.start(context, noSignal);
  await clock.advance(10_000);
  await started;
  assertEquals(events, ["waiting: busy", "waiting: busy", "up: 1472"]);
  assertEquals(backends.map((each) => each.stopped), [true, true, false]);
});

Deno.test("a start that waiting cannot cure rejects at once", async () => {
  class NoDeviceError extends LodenError {
    readonly retryable = false;
  }
  const { events, dataPath } = rig({
    startError: () => new NoDeviceError("tun", "no /dev/net/tun"),
  });
  await assertRejects(
    () => dataPath.start(context, noSignal),
    NoDeviceError,
    "no /dev/net/tun",
  );
  assertEquals(events, []);
});

Deno.test("a backend that fails is replaced by a new one with all peers", async () => {
  const { clock, backends, events, dataPath } = rig();
  await dataPath.start(context, noSignal);
  await dataPath.apply({
    ...none,
    added: [peer("10.1.6.0/24"), peer("10.1.7.0/24")],
  });
  await clock.advance(10_000);
  backends[0]!.fail(new Error("flannel0 was deleted"));
  await clock.settle();
  assertEquals(backends.length, 2);
  assertEquals(backends[0]!.stopped, true);
  assertEquals([...backends[1]!.peers.keys()], ["10.1.6.0/24", "10.1.7.0/24"]);
  assertEquals(events, ["up: 1472", "down: flannel0 was deleted", "up: 1472"]);
  assertEquals(dataPath.restarts, 1);
});

Deno.test("backends that start well and fail soon are not started in a tight loop", async () => {
  const { clock, backends, dataPath } = rig();
  await dataPath.start(context, noSignal);
  for (let second = 0; second < 60; second++) {
    backends.at(-1)!.fail(new Error("worker died"));
    await clock.advance(1_000);
  }
  assert(backends.length < 30, `${backends.length} starts in a minute`);
  assert(backends.length > 5, `${backends.length} starts in a minute`);
  await dataPath.stop();
  assertEquals(clock.sleepers, 0);
});

Deno.test("changes of peers during a restart reach the new backend", async () => {
  let failing = false;
  const { clock, backends, dataPath } = rig({
    startError: () => failing ? new Error("still gone") : undefined,
  });
  await dataPath.start(context, noSignal);
  await dataPath.apply({
    ...none,
    added: [peer("10.1.6.0/24"), peer("10.1.7.0/24")],
  });
  failing = true;
  backends[0]!.fail(new Error("gone"));
  await clock.settle();
  assertEquals(dataPath.running, undefined);
  await dataPath.apply({
    added: [peer("10.1.8.0/24")],
    changed: [peer("10.1.7.0/24", "192.0.2.99")],
    removed: [peer("10.1.6.0/24")],
  });
  failing = false;
  await clock.advance(10_000);
  const last = backends.at(-1)!;
  assertEquals([...last.peers.keys()], ["10.1.7.0/24", "10.1.8.0/24"]);
  assertEquals(
    last.peers.get("10.1.7.0/24")!.publicIp,
    parseIpv4("192.0.2.99")!,
  );
});

Deno.test("a restart goes on also where a first start would have given up", async () => {
  class NoDeviceError extends LodenError {
    readonly retryable = false;
  }
  let failing = false;
  const { clock, backends, events, dataPath } = rig({
    startError: () => failing ? new NoDeviceError("tun", "no tun") : undefined,
  });
  await dataPath.start(context, noSignal);
  failing = true;
  backends[0]!.fail(new Error("gone"));
  await clock.advance(60_000);
  failing = false;
  await clock.advance(10_000);
  assertEquals(events.at(-1), "up: 1472");
  await dataPath.stop();
  assertEquals(backends.at(-1)!.stopped, true);
});

Deno.test("a backend that refuses a change of peers is restarted", async () => {
  let failures = 1;
  const { clock, backends, events, dataPath } = rig({
    applyError: () => failures-- > 0 ? new Error("no room") : undefined,
  });
  await dataPath.start(context, noSignal);
  await dataPath.apply({ ...none, added: [peer("10.1.6.0/24")] });
  await clock.advance(1_000);
  assertEquals(backends.length, 2);
  assertEquals([...backends[1]!.peers.keys()], ["10.1.6.0/24"]);
  assertEquals(events, ["up: 1472", "down: no room", "up: 1472"]);
});

Deno.test("a backend that fails while another start waits its turn is stopped before that, and not restarted", async () => {
  let failures = 1;
  const { clock, backends, dataPath } = rig({
    applyError: () => failures-- > 0 ? new Error("invalid gateway") : undefined,
    startError: () =>
      backends.slice(0, -1).some(({ stopped }) => !stopped)
        ? new Error("the port is in use")
        : undefined,
  });
  await dataPath.start(context, noSignal);
  const applied = dataPath.apply({ ...none, added: [peer("10.1.6.0/24")] });
  const subnet = parseCidr("10.1.8.0/24")!;
  await dataPath.start({ ...context, subnet }, noSignal);
  await applied;
  await clock.advance(60_000);
  assertEquals(backends.map(({ stopped }) => stopped), [true, false]);
  assertEquals([...backends[1]!.peers.keys()], ["10.1.6.0/24"]);
});

Deno.test("stop during a start that hears no signal leaves no backend running", async () => {
  const gate = Promise.withResolvers<void>();
  const { clock, backends, dataPath } = rig({ startDelay: () => gate.promise });
  const started = dataPath.start(context, noSignal);
  started.catch(() => {});
  await clock.settle();
  const stopped = dataPath.stop();
  gate.resolve();
  await assertRejects(() => started);
  await stopped;
  assertEquals(backends.map((each) => each.stopped), [true]);
  assertEquals(dataPath.running, undefined);
});

Deno.test("stop during the pause of a restart ends it", async () => {
  let failing = false;
  const { clock, backends, dataPath } = rig({
    startError: () => failing ? new Error("gone") : undefined,
  });
  await dataPath.start(context, noSignal);
  failing = true;
  backends[0]!.fail(new Error("gone"));
  await clock.settle();
  await dataPath.stop();
  const count = backends.length;
  await clock.advance(60_000);
  assertEquals(backends.length, count);
  assertEquals(clock.sleepers, 0);
});

Deno.test("a peer that comes while a starting backend takes its first ones is not lost", async () => {
  let late = true;
  const { clock, backends, dataPath } = rig({
    onCall: (call) => {
      if (call !== "backend.apply" || !late) return;
      late = false;
      dataPath.apply({ ...none, added: [peer("10.1.7.0/24")] });
    },
  });
  await dataPath.apply({ ...none, added: [peer("10.1.6.0/24")] });
  await dataPath.start(context, noSignal);
  await clock.settle();
  assertEquals([...backends[0]!.peers.keys()], ["10.1.6.0/24", "10.1.7.0/24"]);
});

Deno.test("a change of peers does not wait for a start that it finds waiting", async () => {
  let busy = false;
  const { clock, backends, dataPath } = rig({
    startError: () => busy ? new LodenError("x", "busy") : undefined,
  });
  await dataPath.start(context, noSignal);
  busy = true;
  const restarted = dataPath.start(context, noSignal);
  let isApplied = false;
  const applied = dataPath.apply({ ...none, added: [peer("10.1.6.0/24")] })
    .then(() => isApplied = true);
  await clock.advance(60_000);
  assertEquals(isApplied, true);
  busy = false;
  await clock.advance(60_000);
  await Promise.all([restarted, applied]);
  assertEquals([...backends.at(-1)!.peers.keys()], ["10.1.6.0/24"]);
  await dataPath.stop();
});
