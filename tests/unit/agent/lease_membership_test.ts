import { BACKENDS } from "../../../backend/backends.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LeaseMembership } from "../../../agent/lease_membership.ts";
import { parseNetworkConfig } from "../../../config/network/network.ts";
import { FileStateStore } from "../../../lease/saved/file_state_store.ts";
import {
  PeerLedger,
  type TrustTimes,
} from "../../../lease/peers/peer_ledger.ts";
import { type Cidr, formatCidr, parseCidr } from "../../../net/cidr.ts";
import { formatMac } from "../../../net/mac.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import type { PeerDiff } from "../../../net/peer.ts";
import type { LeaseStatus } from "../../../agent/status/status_snapshot.ts";
import { FakeClock } from "../../fakes/fake_clock.ts";
import { FakeRandom } from "../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../fakes/fake_registry.ts";
import { CONFIG, underlay } from "./agent_rig.ts";

const PEER = '{"PublicIP":"192.0.2.12","PublicIPv6":null}';
const request = {
  config: parseNetworkConfig(CONFIG, BACKENDS),
  underlay,
  advertisement: { backendType: "udp" },
};

/** One host: several runs of its agent, one after the other. */
class Host {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly directory = Deno.makeTempDirSync();
  leases: LeaseStatus[] = [];
  troubles: (string | undefined)[] = [];
  moves: string[] = [];
  diffs: PeerDiff[] = [];
  unconfirmed: (string | undefined)[] = [];
  synced = 0;
  ledger!: PeerLedger;

  run(
    formerSubnet?: Cidr,
    trust: Partial<TrustTimes> = {},
  ): LeaseMembership {
    const random = new FakeRandom();
    this.ledger = new PeerLedger(this.clock, {
      ttlSeconds: 86_400,
      graceSeconds: 600,
      savedSeconds: 86_400,
      knownSeconds: 0,
      ...trust,
    });
    return new LeaseMembership(
      {
        clock: this.clock,
        random,
        registry: new FakeRegistry(this.etcd),
        ledger: this.ledger,
        openStore: ({ mac }) =>
          FileStateStore.open({ clock: this.clock, random }, {
            path: `${this.directory}/state.json`,
            underlayMac: formatMac(mac),
          }),
      },
      {
        ttlSeconds: 86_400,
        renewMarginSeconds: 3_600,
        takeOver: false,
        peerGraceSeconds: 600,
        formerSubnet,
      },
      {
        onLease: (lease) => this.leases.push(lease),
        onSubnetChanged: (subnet) => this.moves.push(formatCidr(subnet)),
        onEtcd: (trouble) => this.troubles.push(trouble),
        onPeersUnconfirmed: (text) => this.unconfirmed.push(text),
        onPeers: (diff) => {
          this.diffs.push(diff);
          return Promise.resolve();
        },
        onPeersKnown: () => this.synced++,
      },
    );
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

/** Runs a membership until the test is done, then stops it as the agent does. */
async function running(
  host: Host,
  membership: LeaseMembership,
  test: () => Promise<void>,
): Promise<void> {
  const ending = new AbortController();
  const ended = membership.run(ending.signal);
  await host.clock.settle();
  await test();
  ending.abort();
  await host.clock.settle();
  await ended;
  await membership.close();
}

const never = new AbortController().signal;

Deno.test("a lease has the host id; peers and their first listing are reported", async () => {
  using host = new Host();
  host.etcd.put("10.1.6.0-24", PEER);
  const membership = host.run();
  const lease = await membership.acquire(request, never);
  assert(lease.attributes.hostId);
  await running(host, membership, async () => {
    assertEquals(host.synced, 1);
    assertEquals(
      host.diffs.flatMap(({ added }) =>
        added.map((peer) => formatCidr(peer.subnet))
      ),
      ["10.1.6.0/24"],
    );
    const status = host.leases.at(-1)!;
    assertEquals(status.subnet, formatCidr(lease.subnet));
    assertEquals(status.state, "held");
    assertEquals(status.cause, null);
    await Promise.resolve();
  });
});

Deno.test("a first run has nothing saved; the next one has config, lease and peers", async () => {
  using host = new Host();
  host.etcd.put("10.1.6.0-24", PEER);
  const first = host.run();
  assertEquals(await first.saved(underlay), undefined);
  const { subnet } = await first.acquire(request, never);
  await running(host, first, () => Promise.resolve());
  const saved = await host.run().saved(underlay);
  assertEquals(saved?.subnet, subnet);
  assertEquals(saved?.config.pool, request.config.pool);
  assertEquals(saved?.peers.map((peer) => formatCidr(peer.subnet)), [
    "10.1.6.0/24",
  ]);
});

Deno.test("what was saved is of no use with another address", async () => {
  using host = new Host();
  const first = host.run();
  await first.acquire(request, never);
  await first.close();
  const moved = { ...underlay, publicIp: parseIpv4("192.0.2.99")! };
  assertEquals(await host.run().saved(moved), undefined);
});

Deno.test("a saved subnet that the saved config does not admit is not used", async () => {
  using host = new Host();
  const first = host.run();
  await first.acquire(request, never);
  await first.close();
  const path = `${host.directory}/state.json`;
  const state = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(
    path,
    JSON.stringify({ ...state, config: '{"Network":"10.9.0.0/16"}' }),
  );
  assertEquals(await host.run().saved(underlay), undefined);
  await Deno.writeTextFile(path, JSON.stringify({ ...state, config: "{" }));
  assertEquals(await host.run().saved(underlay), undefined);
});

Deno.test("the subnet file's subnet is taken again when the state is lost", async () => {
  using host = new Host();
  const former = parseCidr("10.1.77.0/24")!;
  const membership = host.run(former);
  const lease = await membership.acquire(request, never);
  assertEquals(formatCidr(lease.subnet), "10.1.77.0/24");
  await membership.close();
});

Deno.test("what the backend says of itself goes into the lease, before it is acquired and after", async () => {
  using host = new Host();
  const membership = host.run();
  membership.advertise({ backendType: "udp", dataPath: "ebpf" });
  const lease = await membership.acquire(request, never);
  assertEquals(lease.attributes.dataPath, "ebpf");
  await running(host, membership, async () => {
    membership.advertise({ backendType: "udp", dataPath: "tun" });
    for (let turn = 0; turn < 5; turn++) await host.clock.settle();
    assertStringIncludes(
      host.etcd.value(lease.name)!,
      '"LodenDataPath":"tun"',
    );
  });
});

Deno.test("each fault of etcd is reported once, by the part that meets it, and so is its end", async () => {
  using host = new Host();
  const membership = host.run();
  await membership.acquire(request, never);
  await running(host, membership, async () => {
    assertEquals(host.troubles.at(-1), undefined);
    host.etcd.fault = "refused";
    host.etcd.breakWatches("refused");
    await host.clock.advance(30_000);
    assertStringIncludes(host.troubles.at(-1)!, "must accept connections");
    assertEquals(host.leases.at(-1)!.state, "degraded");
    host.etcd.fault = undefined;
    await host.clock.advance(30_000);
    assertEquals(host.troubles.at(-1), undefined);
    assertEquals(host.leases.at(-1)!.state, "held");
  });
});

Deno.test("a lease that is not available yet is reported with its reason", async () => {
  using host = new Host();
  host.etcd.fault = "unreachable";
  const membership = host.run();
  // Reads the state file, for which the fake clock does not wait.
  await membership.saved(underlay);
  const acquired = membership.acquire(request, never);
  await host.clock.advance(10_000);
  assertEquals(host.leases.at(-1)!.subnet, null);
  assertStringIncludes(host.leases.at(-1)!.cause!, "must be reachable");
  host.etcd.fault = undefined;
  await host.clock.advance(10_000);
  await acquired;
  assertEquals(host.leases.at(-1)!.cause, null);
  await membership.close();
});

Deno.test("another subnet after a conflict is reported, and the peers are judged by it", async () => {
  using host = new Host();
  const membership = host.run();
  const lease = await membership.acquire(request, never);
  await running(host, membership, async () => {
    assertEquals(host.moves, []);
    host.etcd.put(lease.name, PEER);
    for (let turn = 0; turn < 10; turn++) await host.clock.settle();
    const { subnet } = host.leases.at(-1)!;
    assertEquals(host.moves, [subnet]);
    // The former one is the other host's, to whom packets go from now on.
    assertEquals(
      host.diffs.flatMap(({ added }) => added.map((peer) => peer.subnet)),
      [lease.subnet],
    );
  });
});

Deno.test("another underlay goes into the same key and the saved state, another config into the saved state", async () => {
  using host = new Host();
  const membership = host.run();
  const lease = await membership.acquire(request, never);
  const raw = '{"Network":"10.1.0.0/16","SubnetMin":"10.1.2.0"}';
  const moved = {
    ...underlay,
    publicIp: parseIpv4("192.0.2.99")!,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
  };
  await running(host, membership, async () => {
    membership.update({ underlay: moved });
    membership.update({ config: parseNetworkConfig(raw, BACKENDS) });
    for (let turn = 0; turn < 10; turn++) await host.clock.settle();
    assertEquals(host.etcd.names, [lease.name]);
    assertStringIncludes(
      host.etcd.value(lease.name)!,
      '"PublicIP":"192.0.2.99"',
    );
    assertEquals(host.moves, []);
  });
  assertEquals((await host.run().saved(moved))?.config.raw, raw);
});

Deno.test("a wider network has peers that the former one did not hold", async () => {
  using host = new Host();
  host.etcd.put("10.2.3.0-24", PEER);
  const membership = host.run();
  await membership.acquire(request, never);
  await running(host, membership, async () => {
    assertEquals(host.diffs, []);
    const wider = parseNetworkConfig('{"Network":"10.0.0.0/8"}', BACKENDS);
    membership.update({ config: wider });
    for (let turn = 0; turn < 10; turn++) await host.clock.settle();
    assertEquals(
      host.diffs.flatMap(({ added }) => added.map(({ subnet }) => subnet)),
      [parseCidr("10.2.3.0/24")!],
    );
  });
});

Deno.test("a host that runs says that it is alive, also after etcd was away", async () => {
  using host = new Host();
  const membership = host.run();
  const { attributes } = await membership.acquire(request, never);
  const isHeard = () => host.etcd.answering.has(attributes.hostId!);
  assertEquals(isHeard(), false);
  await running(host, membership, async () => {
    assertEquals(isHeard(), true);
    host.etcd.fault = "unreachable";
    host.etcd.breakWatches("unreachable");
    await host.clock.advance(10_000);
    assertEquals(isHeard(), false);
    host.etcd.fault = undefined;
    await host.clock.advance(10_000);
    assertEquals(isHeard(), true);
  });
  assertEquals(isHeard(), false);
});

const HOUR = 3_600_000;

/** Leaves a saved state behind, in which etcd has just confirmed one peer. */
async function leavePeer(host: Host): Promise<void> {
  host.etcd.put("10.1.6.0-24", PEER);
  const membership = host.run();
  await membership.acquire(request, never);
  await running(host, membership, () => Promise.resolve());
}

async function savedPeers(host: Host): Promise<string[]> {
  const membership = host.run();
  const saved = await membership.saved(underlay);
  await membership.close();
  return saved!.peers.map(({ subnet }) => formatCidr(subnet));
}

Deno.test("a start without etcd believes saved peers for --trust-saved-peers after their confirmation", async () => {
  using host = new Host();
  await leavePeer(host);
  host.etcd.fault = "unreachable";
  await host.clock.advance(23 * HOUR);
  assertEquals(await savedPeers(host), ["10.1.6.0/24"]);
  // A restart in between makes no peer younger.
  await host.clock.advance(2 * HOUR);
  assertEquals(await savedPeers(host), []);
});

Deno.test("a state that an earlier version saved without ages is as old as its own lease", async () => {
  using host = new Host();
  await leavePeer(host);
  const path = `${host.directory}/state.json`;
  const state = JSON.parse(await Deno.readTextFile(path));
  assert(state.peers[0].confirmed);
  for (const peer of state.peers) delete peer.confirmed;
  await Deno.writeTextFile(path, JSON.stringify(state));
  await host.clock.advance(23 * HOUR);
  assertEquals(await savedPeers(host), ["10.1.6.0/24"]);
  await Deno.writeTextFile(path, JSON.stringify(state));
  await host.clock.advance(2 * HOUR);
  assertEquals(await savedPeers(host), []);
});

Deno.test("a running agent that loses etcd for a week keeps its peers, and names the times at which trust ends", async () => {
  using host = new Host();
  host.etcd.put("10.1.6.0-24", PEER);
  const membership = host.run();
  await membership.acquire(request, never);
  await running(host, membership, async () => {
    await host.clock.advance(60_000);
    host.etcd.fault = "unreachable";
    host.etcd.breakWatches("unreachable");
    const told = host.diffs.length;
    for (let hour = 0; hour < 7 * 24; hour++) await host.clock.advance(HOUR);
    assertEquals(host.diffs.length, told);
    assertStringIncludes(
      host.unconfirmed.at(-1)!,
      "a start without etcd does not use them after 2026-01-02T00:",
    );
    host.etcd.fault = undefined;
    await host.clock.advance(60_000);
    assertEquals(host.unconfirmed.at(-1), undefined);
  });
});

Deno.test("with --trust-known-peers a running agent stops using peers that etcd does not confirm, until it does", async () => {
  using host = new Host();
  host.etcd.put("10.1.6.0-24", PEER);
  const membership = host.run(undefined, { knownSeconds: 7_200 });
  await membership.acquire(request, never);
  await running(host, membership, async () => {
    await host.clock.advance(60_000);
    host.etcd.fault = "unreachable";
    host.etcd.breakWatches("unreachable");
    await host.clock.advance(HOUR);
    assertEquals(host.diffs.at(-1)!.removed, []);
    await host.clock.advance(HOUR);
    const [removed] = host.diffs.at(-1)!.removed;
    assertEquals(formatCidr(removed!.subnet), "10.1.6.0/24");
    host.etcd.fault = undefined;
    await host.clock.advance(60_000);
    const [added] = host.diffs.at(-1)!.added;
    assertEquals(formatCidr(added!.subnet), "10.1.6.0/24");
  });
});

Deno.test("a watch that holds confirms the peers between two listings", async () => {
  using host = new Host();
  host.etcd.put("10.1.6.0-24", PEER);
  // Listings are five minutes apart.
  const membership = host.run(undefined, { knownSeconds: 60 });
  await membership.acquire(request, never);
  await running(host, membership, async () => {
    for (let passed = 0; passed < 600; passed++) {
      await host.clock.advance(1_000);
    }
    assertEquals(host.diffs.flatMap(({ removed }) => removed), []);
  });
});

Deno.test("with --trust-known-peers saved peers are not used for longer either", async () => {
  using host = new Host();
  await leavePeer(host);
  host.etcd.fault = "unreachable";
  const membership = host.run(undefined, { knownSeconds: 7_200 });
  const saved = await membership.saved(underlay);
  assertEquals(saved!.peers.length, 1);
  host.diffs.length = 0;
  await host.clock.advance(HOUR);
  assertEquals(host.diffs, []);
  await host.clock.advance(HOUR);
  assertEquals(host.diffs.map(({ removed }) => removed.length), [1]);
  await membership.close();
});
