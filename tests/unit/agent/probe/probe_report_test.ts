import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PeerProbes } from "../../../../agent/probe/peer_probes.ts";
import { ProbeReport } from "../../../../agent/probe/probe_report.ts";
import type { ProbeService } from "../../../../agent/probe/probe_service.ts";
import {
  ProbeAddressError,
  ProbePortError,
} from "../../../../agent/probe/errors.ts";
import type { LodenError } from "../../../../errors.ts";
import { ERRNO, SystemCallError } from "../../../../linux/errno.ts";
import { cidrOf } from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { newAgentState } from "../../../support/agent_state.ts";
import { underlay } from "../agent_rig.ts";

const MTU = 1_472;
const OWN = parseIpv4("10.1.0.0")!;

/** Peers whose probes a test decides. */
class World {
  readonly clock = new FakeClock();
  readonly state = newAgentState(this.clock);
  readonly peers = new PeerProbes(this.clock, new FakeRandom());
  failure: LodenError | undefined;
  sourcePorts: string | undefined;
  readonly report = new ProbeReport(this.state, this.clock, {
    underlay: () => underlay,
    underlayUse: () => ({
      traffic: [{
        protocol: 17,
        port: 8_285,
        ...(this.sourcePorts !== undefined && {
          sourcePorts: this.sourcePorts,
        }),
      }],
      devices: ["eth0"],
    }),
  });

  constructor(count: number) {
    const added = Array.from({ length: count }, (_, index) => ({
      subnet: cidrOf(toIpv4(OWN + (index + 1) * 256), 24),
      publicIp: toIpv4(0xc000_020b + index),
      backendType: "udp",
      stale: false,
    }));
    this.peers.apply({ added, changed: [], removed: [] });
  }

  get service(): ProbeService {
    const { failure, peers } = this;
    const address = failure === undefined ? OWN : undefined;
    const target = { mtuBytes: MTU };
    return { peers, failure, address, port: 8_286, target } as ProbeService;
  }

  update(): void {
    this.report.update(this.service);
  }

  /** The next `turns` turns of a peer, in which packets up to a size pass. */
  turns(number: number, passesBytes: number, turns = 1): void {
    const { probe } = this.peers.get(`10.1.${number}.0/24`)!;
    const conditions = { mtuBytes: MTU, icmp: true };
    for (let turn = 0; turn < turns; turn++) {
      const nowMs = this.clock.monotonic();
      for (const each of probe.begin(conditions)) {
        if (each.packetBytes <= passesBytes) probe.answer(each, 0.4567, nowMs);
      }
      probe.end(conditions, nowMs);
    }
  }

  warning(code: string): string | undefined {
    return this.state.warnings().find((each) => each.code === code)?.text;
  }
}

Deno.test("hosts that do not answer are a warning with what to do, until they answer", async () => {
  const world = new World(6);
  for (let number = 1; number <= 6; number++) world.turns(number, MTU);
  world.update();
  assertEquals(world.state.warnings(), []);
  for (const number of [5, 2, 3, 4]) world.turns(number, 0, 3);
  world.update();
  const text = world.warning("peers.unreachable")!;
  assertStringIncludes(
    text,
    "4 of 6 hosts do not answer in the overlay: 10.1.2.0/24 (192.0.2.12), " +
      "10.1.3.0/24 (192.0.2.13), 10.1.4.0/24 (192.0.2.14), and 1 more: " +
      "check that the host is up, and that the underlay passes UDP port 8285",
  );
  // The text does not change with time: each change is a line in the log.
  await world.clock.advance(60_000);
  world.update();
  assertEquals(world.warning("peers.unreachable"), text);
  for (const number of [2, 3, 4, 5]) world.turns(number, MTU);
  world.update();
  assertEquals(world.state.warnings(), []);
});

Deno.test("the warning names the source ports that must pass", () => {
  const world = new World(1);
  world.sourcePorts = "49152-65535";
  world.turns(1, 0, 3);
  world.update();
  assertMatch(
    world.warning("peers.unreachable")!,
    /passes UDP port 8285 from ports 49152-65535 \(with --source-port=fixed, from 8285 only\) both ways$/,
  );
});

Deno.test("the warning is not shown before five seconds have passed", async () => {
  const world = new World(1);
  world.turns(1, 0, 3);
  world.update();
  const visible = () => world.state.warnings().map((each) => each.visible);
  assertEquals(visible(), [false]);
  await world.clock.advance(5_000);
  assertEquals(visible(), [true]);
});

Deno.test("when no host answers at all, this host is to be looked at first", () => {
  const world = new World(3);
  for (let number = 1; number <= 3; number++) world.turns(number, 0, 3);
  world.update();
  assertMatch(
    world.warning("peers.unreachable")!,
    /^3 of 3 hosts .*: check this host's own underlay and firewall first, and/,
  );
});

Deno.test("hosts that are not probed yet are no warning", () => {
  const world = new World(3);
  world.update();
  assertEquals(world.state.warnings(), []);
  assertEquals(world.report.counts, {
    reachable: 0,
    unreachable: 0,
    unknown: 3,
  });
});

Deno.test("a path narrower than the overlay is a warning that says both MTUs that mend it", () => {
  const world = new World(2);
  world.turns(1, MTU);
  world.turns(2, 1_372, 20);
  world.update();
  assertEquals(
    world.warning("peers.path-mtu"),
    "the way to 1 host is narrower than the overlay's MTU of 1472 bytes: " +
      "10.1.2.0/24 (1372 bytes pass): raise the MTU on the way to 1500, or " +
      "lower that of eth0 to 1400 on all hosts",
  );
  world.turns(2, MTU, 60);
  world.update();
  assertEquals(world.state.warnings(), []);
});

Deno.test("a port that is taken is a warning, and an address that is missing is none", () => {
  const world = new World(1);
  world.failure = new ProbePortError(OWN, 8_286, undefined);
  world.update();
  assertMatch(
    world.warning("probes.not-running")!,
    /UDP port 8286 of 10\.1\.0\.0 must be free.* \(stop that program .*another --probe-port\)/,
  );
  assertEquals(world.report.status(world.service).address, null);
  world.failure = new ProbeAddressError(OWN, undefined);
  world.update();
  assertEquals(world.state.warnings(), []);
  assertMatch(
    world.report.status(world.service).failure!,
    /this host must have the address 10\.1\.0\.0: .*start Docker/,
  );
  world.failure = new SystemCallError("listen on UDP", ERRNO.EPERM);
  world.update();
  assertMatch(world.warning("probes.not-running")!, /EPERM/);
});

Deno.test("times in the status are ages by the monotonic clock, whatever the wall clock did", async () => {
  const world = new World(1);
  world.turns(1, MTU);
  await world.clock.advance(30_000);
  world.clock.jumpWallClock(-86_400_000);
  const probed = world.peers.get("10.1.1.0/24")!;
  const status = world.report.peerStatus(probed);
  const ago = new Date(world.clock.now() - 30_000).toISOString();
  assertEquals(status, {
    state: "reachable",
    since: ago,
    way: "udp",
    rttMs: 0.457,
    lossRatio: 0,
    mtuBytes: MTU,
    lastAnswer: ago,
  });
});
