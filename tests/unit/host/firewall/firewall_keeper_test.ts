import { assert, assertEquals, assertRejects } from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import {
  FirewallError,
  NoFirewallToolError,
} from "../../../../host/firewall/errors.ts";
import { FirewallKeeper } from "../../../../host/firewall/firewall_keeper.ts";
import type { AntiSpoofing } from "../../../../host/firewall/firewall.ts";
import type { FirewallSelection } from "../../../../host/firewall/select_firewall.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { RULES } from "../../../contract/firewall_contract.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeFirewall } from "../../../fakes/fake_firewall.ts";
import { FakeNftablesMonitor } from "../../../fakes/fake_nftables_monitor.ts";

const signal = new AbortController().signal;

interface Scene {
  readonly clock: FakeClock;
  readonly firewall: FakeFirewall;
  readonly antiSpoofing: FakeFirewall;
  /** What containers must not send; `undefined` until it is known. */
  known: AntiSpoofing | undefined;
  /** Where packets of peers arrive without encapsulation; the same. */
  direct: readonly string[] | undefined;
  readonly keeper: FirewallKeeper;
  readonly monitor: FakeNftablesMonitor;
  /** What `select` answers, or throws. */
  selection: FirewallSelection | Error;
  /** Makes it answer the usual, but for these parts. */
  readonly select: (parts: Partial<FirewallSelection>) => void;
  /** What `onResult` was told. */
  readonly results: (string | undefined)[];
  /** What `onAntiSpoofing` was told. */
  readonly spoofing: (string | undefined)[];
  readonly events: () => unknown[];
}

async function withKeeper(
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const records: LogRecord[] = [];
  configureSync({
    sinks: { memory: (record) => records.push(record) },
    loggers: [
      { category: "loden", sinks: ["memory"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  const clock = new FakeClock();
  const firewall = new FakeFirewall();
  const antiSpoofing = new FakeFirewall();
  const monitor = new FakeNftablesMonitor();
  const results: (string | undefined)[] = [];
  const spoofing: (string | undefined)[] = [];
  const keeper = new FirewallKeeper({
    clock,
    openMonitor: () => monitor,
    antiSpoofing: () => scene.known,
    directDevices: () => scene.direct,
    select: () =>
      scene.selection instanceof Error
        ? Promise.reject(scene.selection)
        : Promise.resolve(scene.selection),
  }, {
    resyncSeconds: 30,
    onResult: (error) =>
      results.push(error instanceof FirewallError ? error.code : undefined),
    onAntiSpoofing: (error) =>
      spoofing.push(error instanceof Error ? error.message : undefined),
  });
  const usual: FirewallSelection = {
    firewall,
    antiSpoofing,
    reason: "test",
    others: [],
    forDocker: [],
  };
  const scene: Scene = {
    clock,
    firewall,
    antiSpoofing,
    known: undefined,
    direct: [],
    keeper,
    monitor,
    selection: usual,
    select: (parts) => scene.selection = { ...usual, ...parts },
    results,
    spoofing,
    events: () => records.map((record) => record.properties.event),
  };
  try {
    await body(scene);
  } finally {
    await keeper.stop();
    resetSync();
  }
}

Deno.test("rules are in place when ensure has resolved", async () => {
  await withKeeper(async ({ keeper, firewall, events }) => {
    assertEquals(keeper.status(), { tool: undefined, inPlace: false });
    await keeper.ensure(RULES, signal);
    assertEquals(await firewall.check(RULES, signal), []);
    assertEquals(keeper.status(), { tool: "iptables", inPlace: true });
    assertEquals(events(), ["firewall.chosen", "firewall.set"]);
  });
});

Deno.test("rules whose changes the kernel does not report are set again within the resync time", async () => {
  await withKeeper(async ({ keeper, firewall, clock, events }) => {
    firewall.changesAreReported = false;
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    firewall.sets.clear();
    await clock.advance(29_999);
    assertEquals(firewall.sets.size, 0);
    await clock.advance(1);
    assertEquals(firewall.sets.size, 1);
    await clock.advance(30_000);
    assertEquals(firewall.ensureCalls, 4);
    assertEquals(
      events().filter((event) => event === "firewall.set").length,
      2,
    );
  });
});

Deno.test("rules whose changes the kernel reports are not polled", async () => {
  await withKeeper(async ({ keeper, firewall, clock }) => {
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    const calls = firewall.ensureCalls;
    await clock.advance(3_600_000);
    assertEquals(firewall.ensureCalls, calls);
  });
});

Deno.test("all rules are polled where those for Docker are not reported", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock } = scene;
    const set = new FakeFirewall("iptables");
    set.changesAreReported = false;
    scene.select({ forDocker: [set] });
    keeper.setOverlayDevices("flannel0");
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    set.sets.clear();
    await clock.advance(30_000);
    assertEquals(set.sets.size, 1);
  });
});

Deno.test("what changed before the monitor was open is seen", async () => {
  await withKeeper(async ({ keeper, firewall, clock }) => {
    await keeper.ensure(RULES, signal);
    firewall.sets.clear();
    keeper.start(signal);
    await clock.settle();
    assertEquals(firewall.sets.size, 1);
  });
});

Deno.test("the rules of the last ensure are the ones that are kept", async () => {
  await withKeeper(async ({ keeper, firewall, monitor, clock }) => {
    const moved = { ...RULES, subnet: parseCidr("10.1.28.0/24")! };
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await keeper.ensure(moved, signal);
    await clock.settle();
    firewall.sets.clear();
    monitor.tell();
    await clock.advance(50);
    assertEquals(await firewall.check(moved, signal), []);
  });
});

Deno.test("a failure is reported each time and logged once, and so is its end", async () => {
  await withKeeper(async ({ keeper, firewall, clock, results, events }) => {
    firewall.failure = new FirewallError("refused", "no");
    await assertRejects(
      () => keeper.ensure(RULES, signal),
      FirewallError,
      "no",
    );
    keeper.start(signal);
    await clock.advance(10_000);
    assertEquals(keeper.status().inPlace, false);
    firewall.failure = undefined;
    await clock.advance(5_000);
    assertEquals(keeper.status().inPlace, true);
    const refused = "firewall.refused";
    // The first, the one when the monitor is open, and one every five seconds.
    assertEquals(results, [refused, refused, refused, refused, undefined]);
    assertEquals(
      events().filter((event) => event !== "firewall.chosen"),
      ["firewall.failed", "firewall.set", "firewall.recovered"],
    );
  });
});

Deno.test("a tool that is installed later is found", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock, firewall } = scene;
    scene.selection = new NoFirewallToolError(["no iptables", "no nft"]);
    await assertRejects(
      () => keeper.ensure(RULES, signal),
      NoFirewallToolError,
    );
    keeper.start(signal);
    scene.select({});
    await clock.advance(5_000);
    assertEquals(await firewall.check(RULES, signal), []);
  });
});

Deno.test("after a failure the tool is chosen again", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock, firewall, monitor } = scene;
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    firewall.failure = new NoFirewallToolError(["iptables was removed"]);
    monitor.tell();
    const next = new FakeFirewall("nftables");
    scene.select({ firewall: next });
    await clock.advance(10_000);
    assertEquals(await next.check(RULES, signal), []);
    assertEquals(keeper.status().tool, "nftables");
  });
});

Deno.test("no tool is needed when no rules are wanted", async () => {
  await withKeeper(async (scene) => {
    scene.selection = new NoFirewallToolError([]);
    const none = { ...RULES, masquerade: false, forward: false };
    await scene.keeper.ensure(none, signal);
    assertEquals(scene.events(), []);
  });
});

Deno.test("this network's rules in another tool go, other networks' stay", async () => {
  await withKeeper(async (scene) => {
    const { keeper, firewall } = scene;
    const other = new FakeFirewall("nftables");
    const foreign = { ...RULES, network: parseCidr("10.9.0.0/16")! };
    await other.ensure(RULES, signal);
    await other.ensure(foreign, signal);
    scene.select({ others: [other] });
    await keeper.ensure(RULES, signal);
    assertEquals([...other.sets.keys()], ["10.9.0.0/16"]);
    assertEquals(await firewall.check(RULES, signal), []);
  });
});

Deno.test("another tool that fails does not keep the rules from being set", async () => {
  await withKeeper(async (scene) => {
    const other = new FakeFirewall("nftables");
    other.failure = new FirewallError("refused", "no");
    scene.select({ others: [other] });
    await scene.keeper.ensure(RULES, signal);
    assert(scene.keeper.status().inPlace);
    assertEquals(scene.events().at(-1), "firewall.other-stays");
  });
});

Deno.test("after stop there are no checks, and the rules stay", async () => {
  await withKeeper(async ({ keeper, firewall, clock }) => {
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.advance(5_000);
    await keeper.stop();
    const calls = firewall.ensureCalls;
    await clock.advance(60_000);
    assertEquals(firewall.ensureCalls, calls);
    assertEquals(clock.sleepers, 0);
    assertEquals(firewall.sets.size, 1);
  });
});

Deno.test("an abort ends the watching and rejects an ensure without a report", async () => {
  await withKeeper(async ({ keeper, clock, events }) => {
    const controller = new AbortController();
    await keeper.ensure(RULES, signal);
    keeper.start(controller.signal);
    await clock.settle();
    controller.abort(new Error("stop"));
    await clock.settle();
    assertEquals(clock.sleepers, 0);
    await assertRejects(
      () => keeper.ensure(RULES, controller.signal),
      Error,
      "stop",
    );
    assert(!events().includes("firewall.failed"));
  });
});

Deno.test("a change that the kernel reports is repaired at once", async () => {
  await withKeeper(async ({ keeper, firewall, monitor, clock }) => {
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    firewall.sets.clear();
    monitor.tell();
    await clock.advance(49);
    assertEquals(firewall.sets.size, 0);
    await clock.advance(1);
    assertEquals(firewall.sets.size, 1);
  });
});

Deno.test("endless changes cause one check per second", async () => {
  await withKeeper(async ({ keeper, firewall, monitor, clock }) => {
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    for (let step = 0; step < 300; step++) {
      monitor.tell();
      await clock.advance(10);
    }
    assert(firewall.ensureCalls >= 3 && firewall.ensureCalls <= 5);
  });
});

Deno.test("where the kernel's reports cannot be had, all rules are polled", async () => {
  await withKeeper(async ({ keeper, firewall, monitor, clock, events }) => {
    monitor.failure = new Error("no nftables");
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.settle();
    assertEquals(events().at(-1), "firewall.not-followed");
    firewall.sets.clear();
    await clock.advance(30_000);
    assertEquals(firewall.sets.size, 1);
  });
});

Deno.test("the overlay device bypasses Docker's rules, in every tool that Docker may use", async () => {
  await withKeeper(async (scene) => {
    const { events } = scene;
    const forDocker = [
      new FakeFirewall("iptables"),
      new FakeFirewall("nftables"),
    ];
    scene.select({ forDocker });
    await scene.keeper.ensure(RULES, signal);
    // What the last run has let past is not taken away before that.
    for (const set of forDocker) assertEquals(set.lastRules, undefined);
    scene.keeper.setOverlayDevices("flannel0");
    // After the look that this brings about.
    await scene.keeper.ensure(RULES, signal);
    for (const set of forDocker) {
      assertEquals(set.lastRules?.overlayDevice, "flannel0");
      assertEquals(set.sets.size, 1);
    }
    assertEquals(events().slice(-2), [
      "firewall.docker-pass",
      "firewall.docker-pass",
    ]);
  });
});

Deno.test("devices of peers on the link bypass Docker's rules once they are known, and follow them", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock } = scene;
    const set = new FakeFirewall("iptables");
    scene.select({ forDocker: [set] });
    scene.direct = undefined;
    keeper.start(signal);
    keeper.setOverlayDevices("flannel.1");
    await keeper.ensure(RULES, signal);
    // What the last run has let past may be by devices that are not known yet.
    assertEquals(set.lastRules, undefined);
    for (const direct of [["eth0"], ["eth0", "eth1"], []]) {
      scene.direct = direct;
      await clock.advance(5_000);
      assertEquals(set.lastRules?.directDevices, direct);
    }
    const { ensureCalls } = set;
    await clock.advance(15_000);
    assertEquals(set.ensureCalls, ensureCalls);
  });
});

Deno.test("without a device of the overlay, those of peers on the link are enough", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock } = scene;
    const set = new FakeFirewall("iptables");
    scene.select({ forDocker: [set] });
    await keeper.ensure(RULES, signal);
    assertEquals(set.lastRules, undefined);
    keeper.start(signal);
    scene.direct = ["eth0"];
    keeper.setOverlayDevices(undefined);
    await clock.advance(0);
    assertEquals(set.lastRules?.directDevices, ["eth0"]);
    // The last peer on the link may leave.
    scene.direct = [];
    await clock.advance(5_000);
    assertEquals(set.lastRules?.directDevices, []);
  });
});

Deno.test("a failed bypass of Docker's rules blocks nothing else and is logged once", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock, events } = scene;
    const set = new FakeFirewall("nftables");
    set.failure = new FirewallError("refused", "no");
    scene.select({ forDocker: [set] });
    keeper.setOverlayDevices("flannel0");
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    await clock.advance(10_000);
    assert(keeper.status().inPlace);
    assertEquals(
      events().filter((event) => event === "firewall.docker-blocked").length,
      1,
    );
    set.failure = undefined;
    await clock.advance(5_000);
    assertEquals(events().at(-1), "firewall.docker-pass");
  });
});

Deno.test("a backend without a device ends the bypass of the former one's", async () => {
  await withKeeper(async (scene) => {
    const { keeper, clock } = scene;
    const set = new FakeFirewall("nftables");
    scene.select({ forDocker: [set] });
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    for (const devices of [["flannel.1"], [undefined, ["flannel.1"]], []]) {
      const [device, former] = devices as [string | undefined, string[]];
      keeper.setOverlayDevices(device, former);
      await clock.advance(0);
      const { overlayDevice, formerDevices } = set.lastRules!;
      assertEquals([overlayDevice, formerDevices], [device, former ?? []]);
    }
  });
});

const KNOWN: AntiSpoofing = {
  underlay: {
    traffic: [{ protocol: 17, port: 8285 }],
    devices: ["eth0"],
  },
  bridges: ["docker0"],
};

Deno.test("rules against spoofing are set when the devices are known, follow them, and are set again", async () => {
  await withKeeper(async (scene) => {
    const { keeper, antiSpoofing, clock, events } = scene;
    await keeper.ensure(RULES, signal);
    assertEquals(antiSpoofing.ensureCalls, 0);
    scene.known = KNOWN;
    keeper.start(signal);
    keeper.setOverlayDevices("flannel0");
    await clock.advance(0);
    assertEquals(antiSpoofing.lastRules?.antiSpoofing, KNOWN);
    assertEquals(antiSpoofing.lastRules?.overlayDevice, "flannel0");
    assertEquals(
      events().filter((event) => event === "firewall.anti-spoofing").length,
      1,
    );
    scene.known = { ...KNOWN, bridges: [] };
    antiSpoofing.sets.clear();
    await clock.advance(5_000);
    assertEquals(antiSpoofing.lastRules?.antiSpoofing, scene.known);
    assertEquals(antiSpoofing.sets.size, 1);
  });
});

Deno.test("refused anti-spoofing rules are logged and block no other rules", async () => {
  await withKeeper(async (scene) => {
    const { keeper, antiSpoofing, firewall, spoofing, results, clock } = scene;
    scene.known = KNOWN;
    antiSpoofing.failure = new Error("no such table");
    await keeper.ensure(RULES, signal);
    keeper.start(signal);
    assertEquals(spoofing, ["no such table"]);
    assertEquals(results, [undefined]);
    assertEquals(await firewall.check(RULES, signal), []);
    antiSpoofing.failure = undefined;
    await clock.advance(5_000);
    assertEquals(spoofing, ["no such table", undefined]);
  });
});
