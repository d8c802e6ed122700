import { assert, assertEquals } from "@std/assert";
import type { LeaseAttributes } from "../../../../lease/lease.ts";
import { encodeLeaseValue } from "../../../../lease/lease_codec.ts";
import {
  PeerWatch,
  type PeerWatchOptions,
} from "../../../../lease/peers/peer_watch.ts";
import type { StoredPeer } from "../../../../lease/saved/state_store.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../../../net/peer.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";

const GRACE_SECONDS = 600;

function value(host: number, more: Partial<LeaseAttributes> = {}): string {
  return encodeLeaseValue({
    publicIp: parseIpv4(`198.51.100.${host}`)!,
    backendType: "udp",
    ...more,
  });
}

function show(peer: Peer): string {
  return `${formatCidr(peer.subnet)} ${formatIpv4(peer.publicIp)}${
    peer.stale ? " stale" : ""
  }`;
}

/** A host that follows the others, and what its data path was told. */
class Follower implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly watch: PeerWatch;
  /** What the diffs add up to. */
  readonly peers = new Map<string, string>();
  readonly diffs: PeerDiff[] = [];
  /** Fault codes, and `ok`. */
  readonly faults: string[] = [];
  saved: readonly StoredPeer[] = [];
  synced = 0;
  /** Set by a test: the data path does not take a diff. */
  refuse: Error | undefined;
  /** Set by a test: the data path takes its time. */
  gate: Promise<void> = Promise.resolve();
  /** How often a diff came while another one was being taken. */
  overlapping = 0;
  #busy = false;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    readonly etcd: FakeEtcd,
    options: Partial<PeerWatchOptions> = {},
  ) {
    this.clock = etcd.clock as FakeClock;
    this.watch = new PeerWatch({
      registry: new FakeRegistry(etcd),
      clock: this.clock,
      random: new FakeRandom(),
      store: { savePeers: (peers) => this.saved = peers() },
    }, {
      self: {
        network: parseCidr("10.1.0.0/16")!,
        subnet: parseCidr("10.1.1.0/24")!,
        publicIp: parseIpv4("198.51.100.1")!,
        backendType: "udp",
        hostId: "us",
      },
      onDiff: (diff) => this.#take(diff),
      onSynced: () => this.synced++,
      onFault: (error) =>
        this.faults.push((error as { code: string } | undefined)?.code ?? "ok"),
      peerGraceSeconds: GRACE_SECONDS,
      ...options,
    });
    this.#running = this.watch.run(this.#end.signal);
  }

  get list(): string[] {
    return [...this.peers.values()].sort();
  }

  async settle(): Promise<this> {
    for (let i = 0; i < 5; i++) await this.clock.settle();
    return this;
  }

  async pass(seconds: number): Promise<void> {
    await this.clock.advance(seconds * 1_000);
    await this.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("the test is over"));
    await this.#running;
  }

  async #take(diff: PeerDiff): Promise<void> {
    if (this.refuse !== undefined) throw this.refuse;
    if (this.#busy) this.overlapping++;
    this.#busy = true;
    await this.gate;
    this.#busy = false;
    this.diffs.push(diff);
    for (const { subnet } of diff.removed) {
      this.peers.delete(formatCidr(subnet));
    }
    for (const peer of [...diff.added, ...diff.changed]) {
      this.peers.set(formatCidr(peer.subnet), show(peer));
    }
  }
}

function makeEtcd(...hosts: number[]): FakeEtcd {
  const etcd = new FakeEtcd(new FakeClock());
  for (const host of hosts) etcd.put(`10.1.${host}.0-24`, value(host));
  return etcd;
}

Deno.test("the first listing is told as one diff, then that it is complete", async () => {
  await using host = await new Follower(makeEtcd(1, 2, 3)).settle();
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.2",
    "10.1.3.0/24 198.51.100.3",
  ]);
  assertEquals(host.diffs.length, 1);
  assertEquals(host.synced, 1);
  assertEquals(host.saved.length, 2);
  assertEquals(host.watch.peers.length, 2);
});

Deno.test("an empty network is complete too", async () => {
  await using host = await new Follower(makeEtcd()).settle();
  assertEquals(host.synced, 1);
  assertEquals(host.diffs, []);
});

Deno.test("flannel's values are peers", async () => {
  const etcd = makeEtcd();
  etcd.put("10.1.2.0-24", '{"PublicIP":"198.51.100.2"}');
  etcd.put("10.1.3.0-24", '{"PublicIP":"198.51.100.3","PublicIPv6":null}');
  await using host = await new Follower(etcd).settle();
  assertEquals(host.list.length, 2);
});

Deno.test("hosts that join, move and leave are followed in order", async () => {
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.3.0-24", value(3));
  etcd.put("10.1.3.0-24", value(33));
  etcd.delete("10.1.2.0-24");
  await host.settle();
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.2 stale",
    "10.1.3.0/24 198.51.100.33",
  ]);
  await host.pass(GRACE_SECONDS + 10);
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.33"]);
});

Deno.test("changes that arrive together are one diff, and of each key the last one counts", async () => {
  const etcd = makeEtcd(2, 3, 4, 5);
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.6.0-24", value(6));
  etcd.delete("10.1.6.0-24");
  etcd.delete("10.1.2.0-24");
  etcd.put("10.1.2.0-24", value(22));
  etcd.put("10.1.3.0-24", "garbage");
  etcd.put("10.1.3.0-24", value(33));
  etcd.put("10.1.4.0-24", value(44));
  etcd.put("10.1.4.0-24", "garbage");
  etcd.delete("10.1.5.0-24");
  await host.settle();
  assertEquals(host.diffs.length, 2);
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.22",
    "10.1.3.0/24 198.51.100.33",
    "10.1.4.0/24 198.51.100.4 stale",
    "10.1.5.0/24 198.51.100.5 stale",
  ]);
});

Deno.test("changes that arrive while others are being taken wait, and are one diff then", async () => {
  const etcd = makeEtcd();
  await using host = await new Follower(etcd).settle();
  const gate = Promise.withResolvers<void>();
  host.gate = gate.promise;
  for (let third = 2; third < 200; third++) {
    etcd.put(`10.1.${third}.0-24`, value(third));
    await host.settle();
  }
  assertEquals(host.diffs.length, 0);
  gate.resolve();
  await host.settle();
  assertEquals(host.diffs.map(({ added }) => added.length), [1, 197]);
  assertEquals(host.overlapping, 0);
});

Deno.test("an event is told without a timer", async () => {
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  const at = host.clock.monotonic();
  etcd.put("10.1.3.0-24", value(3));
  await host.settle();
  assertEquals(host.list.length, 2);
  assertEquals(host.clock.monotonic(), at);
});

Deno.test("a key or value that cannot be read costs itself alone and is told once", async () => {
  using logs = new CapturedLogs();
  const etcd = makeEtcd(2, 3);
  etcd.put("garbage", "garbage");
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.4.0-24", "garbage");
  etcd.put("10.1.2.0-24", "{}");
  etcd.put("10.1.5.0-24", value(5));
  await host.settle();
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.2 stale",
    "10.1.3.0/24 198.51.100.3",
    "10.1.5.0/24 198.51.100.5",
  ]);
  etcd.put("10.1.6.0-24", value(6));
  await host.pass(1_000);
  const rejected = () => logs.events("peers.key-rejected");
  assertEquals(
    rejected().map(({ key }) => String(key).split("/").at(-1)),
    ["garbage", "10.1.4.0-24", "10.1.2.0-24"],
  );
  etcd.put("10.1.4.0-24", value(4));
  await host.settle();
  etcd.put("10.1.4.0-24", "garbage");
  await host.settle();
  assertEquals(rejected().length, 4, "it was right in between");
});

Deno.test("peers of another backend and with our address are told once and are none", async () => {
  using logs = new CapturedLogs();
  const etcd = makeEtcd(2);
  etcd.put("10.1.7.0-24", value(7, { backendType: "vxlan" }));
  etcd.put("10.1.8.0-24", value(1));
  await using host = await new Follower(etcd).settle();
  await host.pass(2_000);
  assertEquals(host.list, ["10.1.2.0/24 198.51.100.2"]);
  assertEquals(
    logs.events("peers.not-a-peer").map(({ key, code }) => `${key} ${code}`),
    ["10.1.7.0-24 other-backend", "10.1.8.0-24 our-address"],
  );
});

Deno.test("etcd that goes away takes no peer with it, and what changed meanwhile is seen afterwards", async () => {
  const etcd = makeEtcd(2, 3, 4);
  await using host = await new Follower(etcd).settle();
  await host.pass(60);
  etcd.fault = "refused";
  etcd.breakWatches("refused");
  await host.pass(3_600);
  assertEquals(host.list.length, 3);
  etcd.fault = "no-leader";
  await host.pass(60);
  etcd.put("10.1.2.0-24", value(22));
  etcd.put("10.1.5.0-24", value(5));
  etcd.delete("10.1.4.0-24");
  etcd.fault = undefined;
  await host.pass(3);
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.22",
    "10.1.3.0/24 198.51.100.3",
    "10.1.4.0/24 198.51.100.4 stale",
    "10.1.5.0/24 198.51.100.5",
  ]);
  assertEquals(host.faults, ["registry.refused", "registry.no-leader", "ok"]);
});

Deno.test("etcd away at the start is waited for, and saved peers are told meanwhile", async () => {
  const etcd = makeEtcd(3);
  etcd.fault = "unreachable";
  const saved: StoredPeer = {
    subnet: parseCidr("10.1.2.0/24")!,
    publicIp: parseIpv4("198.51.100.2")!,
    backendType: "udp",
    stale: false,
  };
  await using host = await new Follower(etcd, { initialPeers: [saved] })
    .settle();
  assertEquals(host.list, ["10.1.2.0/24 198.51.100.2"]);
  assertEquals(host.synced, 0);
  etcd.fault = undefined;
  await host.pass(2);
  assertEquals(host.synced, 1);
  assert(host.list.includes("10.1.3.0/24 198.51.100.3"));
  await host.pass(GRACE_SECONDS + 20);
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.3"]);
});

Deno.test("compacted history is read again and is not a fault", async () => {
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  etcd.compact();
  await host.settle();
  etcd.breakWatches("compacted");
  etcd.put("10.1.3.0-24", value(3));
  await host.pass(2);
  assertEquals(host.list.length, 2);
  assertEquals(host.faults, []);
});

Deno.test("a change that the watch missed is found by the periodic listing", async () => {
  const etcd = makeEtcd(2);
  let lists = 0;
  etcd.before = (operation) => {
    if (operation === "list") lists++;
  };
  await using host = await new Follower(etcd).settle();
  // A watch that hears nothing: its history is in another world.
  const hear = etcd.changesAfter;
  etcd.changesAfter = () => [];
  etcd.put("10.1.2.0-24", value(22));
  await host.settle();
  assertEquals(host.list, ["10.1.2.0/24 198.51.100.2"]);
  etcd.changesAfter = hear;
  await host.pass(361);
  assertEquals(host.list, ["10.1.2.0/24 198.51.100.22"]);
  await host.pass(3_600);
  assert(lists >= 10 && lists <= 17, `${lists} listings in 66 minutes`);
  assertEquals(host.faults, []);
});

const MOVED = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.2.0/24")!,
  publicIp: parseIpv4("198.51.100.9")!,
  backendType: "udp",
  hostId: "us",
};

Deno.test("a host that moves lists the leases again: its former subnet may be a peer's", async () => {
  const etcd = makeEtcd(1, 2, 3);
  let lists = 0;
  etcd.before = (operation) => {
    if (operation === "list") lists++;
  };
  await using host = await new Follower(etcd).settle();
  host.watch.moveTo(MOVED);
  await host.settle();
  assertEquals(lists, 2);
  assertEquals(host.list, [
    "10.1.1.0/24 198.51.100.1",
    "10.1.3.0/24 198.51.100.3",
  ]);
  etcd.put("10.1.4.0-24", value(4));
  await host.settle();
  assertEquals(host.list.length, 3);
  assertEquals([lists, host.faults, host.synced], [2, [], 1]);
});

Deno.test("a host that moves while etcd is away judges what it knows at once", async () => {
  const etcd = makeEtcd(1, 2, 3);
  await using host = await new Follower(etcd).settle();
  etcd.fault = "refused";
  etcd.breakWatches("refused");
  await host.settle();
  host.watch.moveTo(MOVED);
  await host.settle();
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.3"]);
  etcd.fault = undefined;
  await host.pass(60);
  assertEquals(host.list.length, 2);
});

Deno.test("a host that moves while it lists does so once more", async () => {
  const etcd = makeEtcd(1, 2, 3);
  let lists = 0;
  const holder: { host?: Follower } = {};
  etcd.before = (operation) => {
    if (operation === "list" && ++lists === 1) holder.host!.watch.moveTo(MOVED);
  };
  await using host = new Follower(etcd);
  holder.host = host;
  await host.settle();
  assertEquals(lists, 2);
  assertEquals(host.list, [
    "10.1.1.0/24 198.51.100.1",
    "10.1.3.0/24 198.51.100.3",
  ]);
});

Deno.test("a wiped etcd leaves the peers stale, after a second look, and new leases are seen at once", async () => {
  using logs = new CapturedLogs();
  const etcd = makeEtcd(2, 3, 4);
  await using host = await new Follower(etcd).settle();
  await host.pass(60);
  etcd.wipe();
  etcd.put("10.1.2.0-24", value(2));
  etcd.put("10.1.9.0-24", value(9));
  await host.pass(2);
  assertEquals(logs.events("peers.confirming").length, 1);
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.2",
    "10.1.3.0/24 198.51.100.3",
    "10.1.4.0/24 198.51.100.4",
    "10.1.9.0/24 198.51.100.9",
  ]);
  etcd.put("10.1.3.0-24", value(3));
  await host.pass(5);
  assertEquals(host.list, [
    "10.1.2.0/24 198.51.100.2",
    "10.1.3.0/24 198.51.100.3",
    "10.1.4.0/24 198.51.100.4 stale",
    "10.1.9.0/24 198.51.100.9",
  ]);
  etcd.put("10.1.4.0-24", value(4));
  await host.settle();
  assert(host.list.includes("10.1.4.0/24 198.51.100.4"));
});

Deno.test("a watch that breaks again and again is one fault, not a hundred", async () => {
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  await host.pass(60);
  let lists = 0;
  etcd.before = (operation) => {
    if (operation === "list") lists++;
    if (operation === "watch") throw etcd.error("unreachable", "watch");
  };
  etcd.breakWatches("unreachable");
  await host.pass(600);
  assertEquals(host.faults.slice(0, 3), [
    "registry.unreachable",
    "ok",
    "registry.unreachable",
  ]);
  assertEquals(host.faults.length, 3);
  assert(lists < 700, `${lists} listings in ten minutes`);
  etcd.before = () => {};
  await host.pass(10);
  assertEquals(host.faults.at(-1), "ok");
});

Deno.test("a diff that the data path does not take is brought again, the next ones wait", async () => {
  using logs = new CapturedLogs();
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  host.refuse = new Error("no memory");
  etcd.put("10.1.3.0-24", value(3));
  await host.settle();
  etcd.put("10.1.4.0-24", value(4));
  await host.pass(30);
  assertEquals(host.list.length, 1);
  assertEquals(logs.events("peers.not-taken").length, 1);
  host.refuse = undefined;
  await host.pass(2);
  assertEquals(host.list.length, 3);
  assertEquals(
    host.diffs.slice(-2).map(({ added }) => added.map(show)),
    [["10.1.3.0/24 198.51.100.3"], ["10.1.4.0/24 198.51.100.4"]],
  );
});

Deno.test("a grace that ends while a diff is being taken waits for its turn", async () => {
  const etcd = makeEtcd(2);
  await using host = await new Follower(etcd).settle();
  etcd.delete("10.1.2.0-24");
  await host.settle();
  const gate = Promise.withResolvers<void>();
  host.gate = gate.promise;
  etcd.put("10.1.3.0-24", value(3));
  await host.pass(GRACE_SECONDS + 10);
  assertEquals(host.list, ["10.1.2.0/24 198.51.100.2 stale"]);
  gate.resolve();
  await host.settle();
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.3"]);
  assertEquals(host.overlapping, 0);
});

Deno.test("stopping leaves no timer behind, whatever it was doing", async () => {
  for (const trouble of ["none", "away", "confirming", "refused"]) {
    const etcd = makeEtcd(2, 3);
    const host = await new Follower(etcd).settle();
    if (trouble === "away") {
      etcd.fault = "refused";
      etcd.breakWatches("refused");
    } else if (trouble === "confirming") {
      etcd.wipe();
    } else if (trouble === "refused") {
      host.refuse = new Error("no memory");
      etcd.put("10.1.4.0-24", value(4));
    }
    await host.pass(2);
    await host[Symbol.asyncDispose]();
    await host.settle();
    assertEquals(host.clock.sleepers, 0, trouble);
  }
});

Deno.test("a peer that follows a new config before this host has seen it is not lost", async () => {
  const etcd = makeEtcd(2, 3);
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.2.0-24", value(2, { backendType: "vxlan" }));
  await host.settle();
  assertEquals(host.list.length, 2);
  const self = {
    network: parseCidr("10.1.0.0/16")!,
    subnet: parseCidr("10.1.1.0/24")!,
    publicIp: parseIpv4("198.51.100.1")!,
    hostId: "us",
  };
  host.watch.moveTo({
    ...self,
    backendType: "vxlan",
    formerBackendTypes: ["udp"],
  });
  await host.pass(1);
  assertEquals(host.list.length, 2);
  assertEquals(host.diffs.flatMap(({ removed }) => removed), []);
});

Deno.test("a peer that changes to a backend of no config is removed after seconds", async () => {
  const etcd = makeEtcd(2, 3);
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.2.0-24", value(2, { backendType: "vxlan" }));
  await host.pass(6);
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.3"]);
});

Deno.test("a peer that changes to a backend that encrypts is removed at once", async () => {
  const etcd = makeEtcd(2, 3);
  await using host = await new Follower(etcd, {
    mayWaitFor: (type) => type !== "wireguard",
  }).settle();
  etcd.put("10.1.2.0-24", value(2, { backendType: "wireguard" }));
  await host.settle();
  assertEquals(host.list, ["10.1.3.0/24 198.51.100.3"]);
});

Deno.test("a lease that changes its backend again and again does not hold up the others", async () => {
  const etcd = makeEtcd(2, 3);
  await using host = await new Follower(etcd).settle();
  etcd.put("10.1.2.0-24", value(2, { backendType: "vxlan" }));
  await host.pass(6);
  etcd.put("10.1.2.0-24", value(2));
  await host.pass(1);
  assertEquals(host.list.length, 2);
  etcd.put("10.1.2.0-24", value(2, { backendType: "vxlan" }));
  etcd.put("10.1.4.0-24", value(4));
  await host.settle();
  assertEquals(host.list, [
    "10.1.3.0/24 198.51.100.3",
    "10.1.4.0/24 198.51.100.4",
  ]);
});
