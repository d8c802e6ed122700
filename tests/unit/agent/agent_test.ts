import { BACKENDS } from "../../../backend/backends.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { parseNetworkConfig } from "../../../config/network/network.ts";
import { LodenError } from "../../../errors.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { AgentRig, CONFIG, type RigOptions } from "./agent_rig.ts";

/** An error that waiting cannot cure. */
class FinalError extends LodenError {
  readonly retryable = false;
}

const SAVED = {
  config: parseNetworkConfig(CONFIG, BACKENDS),
  subnet: parseCidr("10.1.5.0/24")!,
  peers: [{
    subnet: parseCidr("10.1.9.0/24")!,
    publicIp: parseIpv4("192.0.2.19")!,
    backendType: "udp",
    stale: false,
  }],
};

/** Runs a test with an agent, and collects what it logs. */
async function withAgent(
  test: (rig: AgentRig, events: LogRecord[]) => Promise<void>,
  options?: RigOptions,
): Promise<void> {
  const events: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { list: (record) => events.push(record) },
    loggers: [
      { category: "loden", lowestLevel: "debug", sinks: ["list"] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    await test(new AgentRig(options), events);
  } finally {
    resetSync();
  }
}

function named(events: readonly LogRecord[], name: string): LogRecord[] {
  return events.filter(({ properties }) => properties.event === name);
}

Deno.test("parts start in their order, and READY comes last", () =>
  withAgent(async (rig) => {
    await rig.start();
    assertEquals(rig.calls, [
      "registry.readConfig",
      "underlay",
      "membership.acquire",
      "membership.run",
      "footprint",
      "backend.start",
      "backend.apply",
      "firewall.set",
      "write /run/flannel/subnet.env",
      "write /run/flannel_docker_opts.env",
      "docker of flannel0",
      "READY 10.1.5.0/24, 1 peer, udp (fake)",
    ]);
    // By the name that the device has, not by the pattern that asked for it.
    assertEquals(rig.setOverlayDevice, ["flannel0"]);
    assertEquals(rig.state.snapshot().phase, "running");
    await rig.stop();
  }));

Deno.test("with --ip-masq no file is written before the rules are in place", () =>
  withAgent(async (rig, events) => {
    rig.firewall.failure = new LodenError("firewall.no-tool", "no iptables");
    await rig.start();
    await rig.clock.advance(30_000);
    assertEquals(rig.files.size, 0);
    assertEquals(
      rig.state.snapshot().waitingFor,
      "no iptables (loden firewall show)",
    );
    assertEquals(named(events, "agent.ready"), []);
    rig.firewall.failure = undefined;
    await rig.clock.advance(10_000);
    assertEquals(rig.files.size, 2);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
  }, { ipMasq: true }));

Deno.test("without --ip-masq a firewall that fails is a warning, and READY is said", () =>
  withAgent(async (rig) => {
    rig.firewall.failure = new LodenError("firewall.no-tool", "no iptables");
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.warnings().map(({ code }) => code), [
      "firewall.forward-missing",
    ]);
    rig.firewall.failure = undefined;
    await rig.clock.advance(10_000);
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
  }));

Deno.test("a missing config is waited for; the commands that create it are logged once", () =>
  withAgent(async (rig, events) => {
    rig.etcd.wipe();
    await rig.start();
    await rig.clock.advance(60_000);
    const waiting = named(events, "agent.waiting");
    assertEquals(waiting.length, 1);
    const { hint } = waiting[0]!.properties.error as LodenError;
    assertStringIncludes(hint!, 'put /coreos.com/network/config \'{ "Network"');
    assertStringIncludes(hint!, "loden config put --etcd-endpoints=");
    assertStringIncludes(
      rig.statuses.at(-1)!,
      "reading config: waiting: Cannot read",
    );
    rig.etcd.putConfig(CONFIG);
    await rig.clock.advance(6_500);
    assertEquals(rig.state.snapshot().ready, true);
    await rig.stop();
  }));

Deno.test("each change of reason is logged once, and a returning one again", () =>
  withAgent(async (rig, events) => {
    rig.etcd.fault = "refused";
    await rig.start();
    await rig.clock.advance(30_000);
    rig.etcd.fault = "deadline";
    await rig.clock.advance(30_000);
    rig.etcd.fault = undefined;
    rig.etcd.putConfig("{");
    await rig.clock.advance(30_000);
    rig.etcd.fault = "refused";
    await rig.clock.advance(30_000);
    const codes = named(events, "agent.waiting")
      .map(({ properties }) => (properties.error as LodenError).code);
    assertEquals(codes, [
      "registry.refused",
      "registry.deadline",
      "network.json",
      "registry.refused",
    ]);
    await rig.stop();
  }));

Deno.test("of two things that are missing at once each is logged once, and both are shown", () =>
  withAgent(async (rig, events) => {
    rig.etcd.fault = "refused";
    rig.underlayError = () =>
      new LodenError("host.no-default-route", "no route");
    await rig.start();
    await rig.clock.advance(60_000);
    const codes = named(events, "agent.waiting")
      .map(({ properties }) => (properties.error as LodenError).code);
    assertEquals(codes.toSorted(), [
      "host.no-default-route",
      "registry.refused",
    ]);
    assertStringIncludes(rig.state.snapshot().waitingFor!, "no route");
    assertStringIncludes(rig.state.snapshot().waitingFor!, "etcd");
    rig.underlayError = undefined;
    await rig.clock.advance(10_000);
    assertEquals(rig.state.snapshot().waitingFor!.includes("no route"), false);
    assertStringIncludes(rig.state.snapshot().waitingFor!, "etcd");
    await rig.stop();
  }));

Deno.test("a config with a backend that does not exist ends the agent, which stops first", () =>
  withAgent(async (rig) => {
    rig.etcd.putConfig('{"Network":"10.1.0.0/16","Backend":{"Type":"ipsec"}}');
    await rig.start();
    await assertRejects(() => rig.ended, LodenError, "ipsec");
    assertEquals(rig.calls.at(-1), "registry.close");
    assertEquals(rig.state.phase, "stopped");
  }));

Deno.test("an interface that may come is waited for; a bad option ends the agent", () =>
  withAgent(async (rig, events) => {
    rig.underlayError = () =>
      new LodenError("host.no-default-route", "no route");
    await rig.start();
    await rig.clock.advance(60_000);
    assertEquals(named(events, "agent.waiting").length, 1);
    assertEquals(rig.state.phase, "finding-underlay");
    rig.underlayError = () => new FinalError("host.bad", "no such option");
    await rig.clock.advance(10_000);
    await assertRejects(() => rig.ended, FinalError);
  }));

Deno.test("a suspicious underlay is pointed out, with the flag that cures it", () =>
  withAgent(async (rig, events) => {
    rig.underlayWarnings = [{
      code: "underlay.shared-address",
      text: "10.0.2.15 is everywhere",
      fix: "--iface=eth1",
    }];
    await rig.start();
    assertEquals(named(events, "underlay.warning").length, 1);
    assertEquals(
      rig.state.warnings()[0]!.text,
      "10.0.2.15 is everywhere: --iface=eth1",
    );
    await rig.stop();
  }));

Deno.test("files that cannot be written are tried again; READY waits, packets do not", () =>
  withAgent(async (rig, events) => {
    rig.fileError = (path) =>
      path.endsWith("subnet.env")
        ? new LodenError("file.write", "the disk is full")
        : undefined;
    await rig.start();
    await rig.clock.advance(60_000);
    assertEquals(rig.state.snapshot().files, [
      { path: "/run/flannel/subnet.env", written: false },
      { path: "/run/flannel_docker_opts.env", written: true },
    ]);
    assertEquals(rig.state.snapshot().ready, false);
    assertEquals(rig.backends[1]!.peers.size, 1);
    assertEquals(named(events, "files.failed").length, 1);
    assertEquals(rig.state.warnings().map(({ code }) => code), [
      "files.subnet-env",
    ]);
    rig.fileError = () => undefined;
    await rig.clock.advance(15_000);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
  }));

Deno.test("a backend that fails while running is restarted, and nothing else changes", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    await rig.clock.advance(10_000);
    const calls = rig.calls.length;
    rig.backends[1]!.fail(new Error("flannel0 was deleted"));
    await rig.settle();
    assertEquals(rig.calls.slice(calls), [
      "backend.stop",
      "backend.start",
      "backend.apply",
    ]);
    assertEquals(rig.state.snapshot().backendRestarts, 1);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(named(events, "data-path.down").length, 1);
    assertEquals(named(events, "data-path.up").length, 2);
    await rig.stop();
  }));

Deno.test("a data path that fails while the kernel goes on is a warning, and a stop says that packets flow", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    rig.backends[1]!.fail(new Error("the packet socket is gone"));
    await rig.settle();
    assertEquals(named(events, "data-path.down"), []);
    assertEquals(named(events, "data-path.unattended").length, 1);
    assertEquals(
      rig.state.warnings().map(({ code, severity }) => `${severity} ${code}`),
      ["warning data-path.unattended"],
    );
    await rig.clock.advance(10_000);
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
    assertEquals(
      rig.statuses.at(-1),
      "stopped; packets still flow in the kernel",
    );
    const [stopped] = named(events, "agent.stopped");
    assertEquals(stopped?.properties.packetsFlowOn, true);
  }, { backend: { outlivesAgent: true } }));

Deno.test("the lease says what carries the packets: after each start of the data path, and READY does not wait", () => {
  let dataPath: "ebpf" | "tun" = "ebpf";
  return withAgent(async (rig) => {
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.membership.requested?.advertisement, {
      backendType: "udp",
    });
    assertEquals(rig.membership.advertised, [
      { backendType: "udp", dataPath: "ebpf" },
    ]);
    await rig.clock.advance(10_000);
    dataPath = "tun";
    rig.backends[1]!.fail(new Error("a program was removed"));
    await rig.settle();
    assertEquals(rig.membership.advertised.at(-1), {
      backendType: "udp",
      dataPath: "tun",
    });
    await rig.stop();
  }, { backend: { dataPath: () => dataPath } });
});

Deno.test("/healthz fails while the data path is down", () => {
  let gone = false;
  return withAgent(async (rig) => {
    await rig.start();
    assertEquals(rig.state.unhealthy(), []);
    gone = true;
    await rig.clock.advance(10_000);
    rig.backends[1]!.fail(new Error("flannel0 was deleted"));
    await rig.settle();
    assertEquals(rig.state.unhealthy().map(({ code }) => code), [
      "data-path.down",
    ]);
    gone = false;
    await rig.clock.advance(10_000);
    assertEquals(rig.state.unhealthy(), []);
    await rig.stop();
  }, {
    backend: { startError: () => gone ? new Error("no device") : undefined },
  });
});

Deno.test("a backend that can never start ends the agent", () =>
  withAgent(async (rig) => {
    await rig.start();
    await assertRejects(() => rig.ended, FinalError, "no /dev/net/tun");
    assertEquals(rig.files.size, 0);
  }, {
    backend: { startError: () => new FinalError("tun", "no /dev/net/tun") },
  }));

Deno.test("a lost lease stops nothing and is seen in the status, in each of its states", () =>
  withAgent(async (rig) => {
    await rig.start();
    const calls = rig.calls.length;
    const states = [
      ["degraded", "nothing listens at etcd's port"],
      ["expired-but-serving", "etcd has been away for a day"],
      ["conflict", "10.1.5.0/24 is now held by 192.0.2.99"],
      [
        "conflict",
        "10.1.5.0/24 is now held by 192.0.2.99; no other subnet yet",
      ],
    ] as const;
    for (const [state, cause] of states) {
      rig.membership.tell(state, cause);
      await rig.clock.advance(3_600_000);
      assertEquals(rig.calls.slice(calls), []);
      assertEquals(rig.state.snapshot().ready, true);
      assertStringIncludes(
        rig.statuses.at(-1)!,
        `10.1.5.0/24, 1 peer, udp (fake); lease is ${state}: ${cause}`,
      );
      const { lease, warnings } = rig.state.snapshot();
      assertEquals([lease?.state, lease?.cause], [state, cause]);
      assertEquals(warnings.map(({ code }) => code), ["lease.not-held"]);
    }
    rig.membership.tell("held", null);
    await rig.clock.advance(100);
    assertEquals(rig.statuses.at(-1), "10.1.5.0/24, 1 peer, udp (fake)");
    await rig.stop();
  }));

Deno.test("another subnet while the network runs: files follow, and it is said that Docker must be restarted", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    rig.membership.move(parseCidr("10.1.77.0/24")!);
    await rig.settle();
    const [change] = named(events, "agent.plan-changed");
    assertEquals(change!.level, "warning");
    assertEquals(change!.properties.changes, [
      "subnet: 10.1.5.0/24 -> 10.1.77.0/24",
    ]);
    assertEquals(change!.properties.restartDocker, true);
    const { subnet } = JSON.parse(rig.files.get("/run/flannel/subnet.env")!);
    assertEquals(subnet, parseCidr("10.1.77.0/24"));
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
  }));

Deno.test("READY does not wait for ever for the first list of peers", () =>
  withAgent(async (rig, events) => {
    rig.membership.peers = undefined;
    await rig.start();
    assertEquals(rig.state.snapshot().ready, false);
    assertEquals(rig.files.size, 2);
    await rig.clock.advance(5_000);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(named(events, "peers.unknown").length, 1);
    await rig.stop();
  }));

Deno.test("a READY that the service manager does not take is said again", () =>
  withAgent(async (rig) => {
    rig.isManagerDeaf = true;
    await rig.start();
    await rig.clock.advance(5_000);
    assertEquals(rig.calls.filter((call) => call.startsWith("READY")), []);
    rig.isManagerDeaf = false;
    await rig.clock.advance(5_000);
    assertEquals(
      rig.calls.filter((call) => call.startsWith("READY")).length,
      1,
    );
    await rig.stop();
  }));

Deno.test("the start waits for its lease and is READY only with it", () => {
  const lease = Promise.withResolvers<void>();
  return withAgent(async (rig) => {
    await rig.start();
    await rig.clock.advance(60_000);
    assertEquals(rig.state.phase, "acquiring-lease");
    lease.resolve();
    await rig.settle();
    assertEquals(rig.state.snapshot().ready, true);
    await rig.stop();
  }, { acquireDelay: () => lease.promise });
});

Deno.test("etcd away at the start: saved state carries packets, READY says so", () =>
  withAgent(async (rig, events) => {
    rig.etcd.fault = "unreachable";
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.snapshot().fromSavedState, true);
    const ready = rig.calls.find((call) => call.startsWith("READY"))!;
    assertStringIncludes(ready, "10.1.5.0/24, 1 peer, udp (fake)");
    assertStringIncludes(ready, "serving from saved state");
    assertEquals([...rig.backends[0]!.peers.keys()], ["10.1.9.0/24"]);
    // READY or not, a new reason for waiting is said, once.
    const waits = named(events, "agent.waiting").length;
    rig.etcd.fault = "refused";
    await rig.clock.advance(20_000);
    assertEquals(named(events, "agent.waiting").length, waits + 1);
    const calls = rig.calls.length;
    rig.etcd.fault = undefined;
    await rig.clock.advance(10_000);
    assertEquals(
      rig.calls.slice(calls).filter((call) => !call.startsWith("registry")),
      ["membership.acquire", "membership.run", "backend.apply"],
    );
    assertEquals(rig.state.snapshot().fromSavedState, false);
    assertEquals(rig.state.warnings(), []);
    assertEquals(named(events, "agent.live").length, 1);
    await rig.stop();
  }, { saved: SAVED }));

Deno.test("a lease of another subnet than the saved one: network and files change", () =>
  withAgent(async (rig, events) => {
    rig.etcd.fault = "unreachable";
    await rig.start();
    rig.membership.subnet = parseCidr("10.1.77.0/24")!;
    rig.etcd.fault = undefined;
    await rig.clock.advance(10_000);
    assertEquals(named(events, "agent.plan-changed").length, 1);
    assertEquals(rig.state.phase, "running");
    const { subnet } = JSON.parse(rig.files.get("/run/flannel/subnet.env")!);
    assertEquals(subnet, parseCidr("10.1.77.0/24"));
    assertEquals(rig.backends[0]!.stopped, true);
    // What is known of the others is not forgotten with the old data path.
    assertEquals([...rig.backends.at(-1)!.peers.keys()].sort(), [
      "10.1.6.0/24",
      "10.1.9.0/24",
    ]);
    await rig.stop();
  }, { saved: SAVED }));

Deno.test("a wiped or corrupt config does not keep a saved network down", async (t) => {
  for (const config of [undefined, "{"]) {
    await t.step(String(config), () =>
      withAgent(async (rig) => {
        if (config === undefined) rig.etcd.wipe();
        else rig.etcd.putConfig(config);
        await rig.start();
        assertEquals(rig.state.snapshot().fromSavedState, true);
        await rig.clock.advance(100);
        assertStringIncludes(rig.statuses.at(-1)!, "network config");
        rig.etcd.putConfig(CONFIG);
        await rig.clock.advance(10_000);
        assertEquals(rig.state.snapshot().fromSavedState, false);
        assertEquals(rig.state.warnings(), []);
        await rig.stop();
      }, { saved: SAVED }));
  }
});

Deno.test("an etcd that says nothing for two seconds is as good as away", () =>
  withAgent(async (rig) => {
    rig.etcd.before = () => new Promise(() => {});
    await rig.start();
    await rig.clock.advance(1_900);
    assertEquals(rig.state.snapshot().ready, false);
    await rig.clock.advance(200);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.snapshot().fromSavedState, true);
    await rig.stop();
  }, { saved: SAVED }));

Deno.test("etcd away and nothing saved: the start waits", () =>
  withAgent(async (rig) => {
    rig.etcd.fault = "unreachable";
    await rig.start();
    await rig.clock.advance(60_000);
    assertEquals(rig.state.snapshot().ready, false);
    assertEquals(rig.backends, []);
    await rig.stop();
  }));

Deno.test("stop goes in order: STOPPING, counters, parts, etcd", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    const calls = rig.calls.length;
    await rig.stop();
    assertEquals(rig.calls.slice(calls), [
      "STOPPING",
      "membership.stop",
      "backend.stop",
      "registry.close",
    ]);
    const [counters] = named(events, "agent.counters");
    assertEquals(counters!.properties.sentPackets, 3);
    assertEquals(counters!.properties.peers, 1);
    assertEquals(rig.clock.sleepers, 0);
  }));

Deno.test("a part that does not stop is left behind after 0.8 seconds", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    const before = rig.clock.monotonic();
    await rig.stop();
    assert(rig.clock.monotonic() - before <= 1_000);
    assertEquals(named(events, "agent.stop-late").length, 1);
    assertEquals(rig.calls.at(-1), "registry.close");
  }, { backend: { stopDelay: () => new Promise(() => {}) } }));

Deno.test("a record that cannot be written is a warning and delays nothing", () =>
  withAgent(async (rig) => {
    rig.footprintError = new LodenError("file.write", "the disk is full");
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.warnings().map(({ code }) => code), [
      "footprint.not-saved",
    ]);
    await rig.stop();
  }));

Deno.test("an agent whose network another agent has ends before it leaves anything on the host", () =>
  withAgent(async (rig) => {
    rig.networkError = new LodenError("agent.network-shared", "overlaps");
    await rig.start();
    await assertRejects(() => rig.ended, LodenError, "overlaps");
    assertEquals(
      rig.calls.filter((call) =>
        call === "footprint" || call === "backend.start"
      ),
      [],
    );
  }));

Deno.test("the blackhole route is set again and again, and a refusal is a warning", () =>
  withAgent(async (rig) => {
    rig.blackholeError = new LodenError("netlink", "not permitted");
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.warnings().map(({ code }) => code), [
      "host.blackhole-route",
    ]);
    rig.blackholeError = undefined;
    await rig.clock.advance(11_000);
    assertEquals(rig.calls.filter((call) => call === "blackhole").length, 3);
    assertEquals(rig.state.warnings(), []);
    await rig.stop();
  }, { blackholeRoute: true }));

Deno.test("a kernel that does not forward is pointed out with the command that mends it", () =>
  withAgent(async (rig, events) => {
    rig.sysctls = [{
      name: "net.ipv4.ip_forward",
      path: "net/ipv4/ip_forward",
      value: "0",
      wanted: "1",
      severity: "warning",
      text: "nothing is forwarded",
      fix: "sysctl -w net.ipv4.ip_forward=1",
      isOurs: true,
    }];
    await rig.start();
    assertEquals(named(events, "host.forwarding-off").length, 1);
    assertStringIncludes(
      rig.state.warnings()[0]!.text,
      "sysctl -w net.ipv4.ip_forward=1",
    );
    rig.sysctls = [{ ...rig.sysctls[0]!, severity: "info" }];
    await rig.clock.advance(10_000);
    assertEquals(rig.state.warnings(), [], "seen to be mended while running");
    assertEquals(named(events, "host.forwarding-on").length, 1);
    assertEquals(named(events, "host.sysctl").length, 1, "told once");
    await rig.stop();
  }));

Deno.test("a signal ends the wait at every step, and leaves nothing asleep", async (t) => {
  const never = new Promise<void>(() => {});
  const steps: [string, RigOptions, (rig: AgentRig) => void][] = [
    ["reading-config", {}, (rig) => rig.etcd.wipe()],
    ["reading-config", {}, (rig) => {
      rig.etcd.fault = "unreachable";
    }],
    ["finding-underlay", {}, (rig) => {
      rig.underlayError = () => new LodenError("host.no-default-route", "none");
    }],
    ["acquiring-lease", { acquireDelay: () => never }, () => {}],
    ["starting-data-path", {
      backend: { startError: () => new LodenError("udp.port", "port in use") },
    }, () => {}],
    ["setting-firewall", { ipMasq: true }, (rig) => {
      rig.firewall.failure = new LodenError("firewall.no-tool", "none");
    }],
    ["writing-files", {}, (rig) => {
      rig.fileError = () => new LodenError("file.write", "the disk is full");
    }],
    ["running", {}, () => {}],
  ];
  for (const [phase, options, prepare] of steps) {
    await t.step(phase, () =>
      withAgent(async (rig, events) => {
        prepare(rig);
        await rig.start();
        await rig.clock.advance(3_000);
        assertEquals(rig.state.phase, phase);
        await rig.stop();
        assertEquals(rig.state.phase, "stopped");
        assertEquals(rig.clock.sleepers, 0);
        assertEquals(named(events, "agent.stop-late"), []);
        assertEquals(
          rig.backends.filter(({ context, stopped }) => context && !stopped),
          [],
        );
      }, options));
  }
});

Deno.test("a signal before the start stops the start", () =>
  withAgent(async (rig) => {
    const running = rig.agent.run(AbortSignal.abort());
    await rig.clock.advance(1_000);
    await running;
    assertEquals(rig.backends, []);
  }));

Deno.test("a problem with Docker is shown, logged once, and gone when it is solved", () =>
  withAgent(async (rig, events) => {
    await rig.start();
    assertEquals(rig.state.snapshot().docker, null);
    const status = { version: "28.2.1", bridge: null, firewall: null };
    const look = {
      status,
      problems: [{
        code: "docker.bridge-elsewhere",
        text: "docker0 is elsewhere",
        fix: "systemctl restart docker",
      }],
    } as const;
    rig.onDockerLook(look);
    rig.onDockerLook(look);
    const { docker, warnings } = rig.state.snapshot();
    assertEquals(docker, status);
    assertEquals(warnings.map(({ code, text }) => [code, text]), [[
      "docker.bridge-elsewhere",
      "docker0 is elsewhere: systemctl restart docker",
    ]]);
    assertEquals(named(events, "docker.warning").length, 1);
    rig.onDockerLook({ status, problems: [] });
    assertEquals(rig.state.snapshot().warnings, []);
    assertEquals(named(events, "docker.mended").length, 1);
    await rig.stop();
  }));

Deno.test("a change to a backend without a device ends the look at Docker", async () => {
  const rig = new AgentRig({
    backend: { hasNoDevice: (type) => type === "host-gw" },
  });
  await rig.start();
  rig.onDockerLook({
    status: { version: "28.2.1", bridge: null, firewall: null },
    problems: [{
      code: "docker.drops-overlay",
      text: "packets from flannel0 are dropped",
      fix: "systemctl restart docker",
    }],
  });
  assertEquals(rig.dockerWatches, ["flannel0"]);
  rig.etcd.putConfig('{"Network":"10.1.0.0/16","Backend":{"Type":"host-gw"}}');
  await rig.settle();
  const { docker, overlay, warnings } = rig.state.snapshot();
  assertEquals(overlay?.device, null);
  assertEquals([docker, warnings], [null, []]);
  assertEquals(rig.dockerWatches, []);
  await rig.stop();
});

const CONFLICT = {
  kind: "conflict",
  text: "10.1.7.0/24 dev eth0",
  fix: "ip route del 10.1.7.0/24 dev eth0",
} as const;

Deno.test("a network that overlaps a route is not started, names it, and is when there is room", () =>
  withAgent(async (rig, events) => {
    rig.room = { overlaps: [CONFLICT], isServed: false };
    await rig.start();
    await rig.clock.advance(30_000);
    assertEquals(rig.calls.includes("backend.start"), false);
    assertEquals(rig.calls.includes("firewall.set"), false);
    const { phase, waitingFor, warnings } = rig.state.snapshot();
    assertEquals(phase, "starting-data-path");
    assertStringIncludes(waitingFor!, "10.1.7.0/24 dev eth0");
    assertStringIncludes(waitingFor!, "ip route del 10.1.7.0/24 dev eth0");
    assertEquals(warnings.map(({ code }) => code), ["network.overlaps"]);
    assertEquals(named(events, "network.overlaps").length, 1);
    rig.room = { overlaps: [], isServed: false };
    await rig.clock.advance(10_000);
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.snapshot().warnings, []);
    await rig.stop();
  }));

Deno.test("a network that has been running goes on in spite of a new route, and says so", () =>
  withAgent(async (rig, events) => {
    rig.room = { overlaps: [CONFLICT], isServed: true };
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(named(events, "network.overlaps").length, 1);
    await rig.stop();
  }));

Deno.test("a wider route over a gateway is named and no hindrance", () =>
  withAgent(async (rig, events) => {
    const takeover = { ...CONFLICT, kind: "takeover" } as const;
    rig.room = { overlaps: [takeover], isServed: false };
    await rig.start();
    assertEquals(rig.state.snapshot().ready, true);
    assertEquals(rig.state.snapshot().warnings, []);
    assertEquals(named(events, "network.takes-over").length, 1);
    await rig.stop();
  }));
