import { assertEquals } from "@std/assert";
import { AgentState } from "../../../../agent/status/state.ts";
import { UnderlayWatch } from "../../../../agent/changes/underlay_watch.ts";
import type { UnderlayFinding } from "../../../../host/underlay/underlay_look.ts";
import type { UnderlayWarning } from "../../../../host/underlay/underlay_warnings.ts";
import type { RtnetlinkTable } from "../../../../linux/netlink/rtnetlink_monitor.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import type { Underlay } from "../../../../net/underlay.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRtnetlinkMonitor } from "../../../fakes/fake_rtnetlink_monitor.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";

const ETH0: Underlay = {
  interfaceName: "eth0",
  interfaceIndex: 2,
  address: parseIpv4("192.0.2.11")!,
  publicIp: parseIpv4("192.0.2.11")!,
  mtuBytes: underlayMtu(1500),
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
};
const ETH1: Underlay = { ...ETH0, interfaceName: "eth1", interfaceIndex: 3 };
const GONE: UnderlayFinding = { kind: "unusable", reason: "eth0 is gone" };

/** A watch, what it finds and what it asks for. */
class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly logs = new CapturedLogs();
  readonly monitor = new FakeRtnetlinkMonitor();
  readonly applied: string[] = [];
  looks = 0;
  current = ETH0;
  finding: UnderlayFinding | Error = { kind: "same", underlay: ETH0 };
  warnings: UnderlayWarning[] = [];
  monitorError: Error | undefined;
  readonly state = new AgentState({
    version: "0.1.0",
    pid: 1,
    instance: "n",
    etcdPrefix: "/coreos.com/network",
    etcdEndpoints: [],
  }, this.clock);
  readonly #ending = new AbortController();
  #ended: Promise<void> | undefined;

  /** Comes as far as after the first look. */
  async start(): Promise<this> {
    const watch = new UnderlayWatch({
      clock: this.clock,
      state: this.state,
      underlayView: {
        openMonitor: () => {
          if (this.monitorError) throw this.monitorError;
          return this.monitor;
        },
        look: () => {
          this.looks++;
          if (this.finding instanceof Error) throw this.finding;
          return this.finding;
        },
        warnings: () => this.warnings,
      },
    }, {
      current: () => this.current,
      apply: (underlay) => {
        this.current = underlay;
        const { address, interfaceName } = underlay;
        this.applied.push(`${interfaceName} ${formatIpv4(address)}`);
        return Promise.resolve();
      },
    });
    this.#ended = watch.run(this.#ending.signal);
    await this.clock.advance(300);
    return this;
  }

  /** The kernel tells of a change, after which this is found. */
  async happen(
    finding: UnderlayFinding | Error,
    ...tables: RtnetlinkTable[]
  ): Promise<void> {
    this.finding = finding;
    this.monitor.tell(...tables);
    await this.clock.advance(300);
  }

  get problems(): string[] {
    return this.state.warnings().map(({ code, text }) => `${code}: ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error("the end"));
    await this.clock.settle();
    // It must end by itself.
    await this.#ended;
    this.logs[Symbol.dispose]();
  }
}

const started = () => new World().start();

Deno.test("what changed before the watch began is seen", async () => {
  const world = new World();
  world.finding = {
    kind: "moved",
    underlay: { ...ETH0, address: 1 } as Underlay,
  };
  await using _ = await world.start();
  assertEquals(world.applied, ["eth0 0.0.0.1"]);
});

Deno.test("another address is followed at once, and the log says what", async () => {
  await using world = await started();
  const address = parseIpv4("192.0.2.77")!;
  await world.happen({
    kind: "moved",
    underlay: { ...ETH0, address, publicIp: address },
  }, "addresses");
  assertEquals(world.applied, ["eth0 192.0.2.77"]);
  assertEquals(world.logs.events("underlay.changed")[0]?.["changes"], [
    "address: 192.0.2.11 -> 192.0.2.77",
    "PublicIP: 192.0.2.11 -> 192.0.2.77",
  ]);
});

Deno.test("another name and MTU are followed at once", async () => {
  await using world = await started();
  const underlay = {
    ...ETH0,
    interfaceName: "lan0",
    mtuBytes: underlayMtu(1400),
  };
  await world.happen({ kind: "same", underlay }, "links");
  assertEquals(world.logs.events("underlay.changed")[0]?.["changes"], [
    "interface: eth0 -> lan0",
    "MTU: 1500 -> 1400",
  ]);
  assertEquals(world.applied, ["lan0 192.0.2.11"]);
});

Deno.test("an interface that goes for a moment is not complained of", async () => {
  await using world = await started();
  await world.happen(GONE, "links", "addresses");
  await world.clock.advance(1_000);
  assertEquals(world.problems, []);
  await world.happen({ kind: "same", underlay: ETH0 }, "addresses");
  await world.clock.advance(5_000);
  assertEquals(world.problems, []);
  assertEquals(world.logs.events("underlay.lost"), []);
  assertEquals(world.applied, []);
});

Deno.test("an address that comes back as another one is followed without waiting for the rest of the moment", async () => {
  await using world = await started();
  await world.happen(GONE, "addresses");
  const address = parseIpv4("192.0.2.77")!;
  await world.happen(
    { kind: "moved", underlay: { ...ETH0, address } },
    "addresses",
  );
  assertEquals(world.applied, ["eth0 192.0.2.77"]);
});

Deno.test("an interface that stays away is a warning and one log line, until it is back", async () => {
  await using world = await started();
  await world.happen(GONE, "links");
  await world.clock.advance(100_000);
  assertEquals(world.problems, ["underlay.missing: eth0 is gone"]);
  assertEquals(world.logs.events("underlay.lost").length, 1);
  assertEquals(world.applied, []);
  // With it come routes alone, where the interface is chosen by them.
  await world.happen({ kind: "same", underlay: ETH0 }, "routes");
  assertEquals(world.problems, []);
  assertEquals(world.logs.events("underlay.back").length, 1);
  assertEquals(world.applied, []);
});

Deno.test("another interface is gone to after a moment, not at once", async () => {
  await using world = await started();
  await world.happen({ kind: "moved", underlay: ETH1 }, "links");
  assertEquals(world.applied, []);
  await world.clock.advance(2_500);
  assertEquals(world.applied, ["eth1 192.0.2.11"]);
});

Deno.test("routes alone are no reason to look, since the agent makes them itself", async () => {
  await using world = await started();
  const { looks } = world;
  await world.happen({ kind: "same", underlay: ETH0 }, "routes");
  assertEquals(world.looks, looks);
});

Deno.test("an unreported change is found within half a minute", async () => {
  const world = new World();
  world.monitorError = new Error("no socket");
  await using _ = await world.start();
  assertEquals(world.logs.events("underlay.unwatched").length, 1);
  world.finding = {
    kind: "same",
    underlay: { ...ETH0, interfaceName: "lan0" },
  };
  await world.clock.advance(31_000);
  assertEquals(world.applied, ["lan0 192.0.2.11"]);
});

Deno.test("a kernel that refuses to tell is asked again", async () => {
  await using world = await started();
  await world.happen(new Error("EBUSY"), "links");
  assertEquals(world.logs.events("underlay.unreadable").length, 1);
  await world.happen({
    kind: "same",
    underlay: { ...ETH0, interfaceName: "lan0" },
  }, "links");
  assertEquals(world.applied, ["lan0 192.0.2.11"]);
});

Deno.test("the warnings of an underlay are updated at every check", async () => {
  await using world = await started();
  world.warnings = [{ code: "underlay.address-twice", text: "T", fix: "F" }];
  await world.happen({ kind: "same", underlay: ETH0 }, "addresses");
  assertEquals(world.problems, ["underlay.address-twice: T: F"]);
  world.warnings = [];
  await world.happen({ kind: "same", underlay: ETH0 }, "addresses");
  assertEquals(world.problems, []);
});
