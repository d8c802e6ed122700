import { assert, assertEquals } from "@std/assert";
import type { LeaseAttributes } from "../../lease/lease.ts";
import { LeaseKeeper } from "../../lease/own/lease_keeper.ts";
import { PeerWatch } from "../../lease/peers/peer_watch.ts";
import { EtcdLeaseRegistry } from "../../lease/etcd_registry.ts";
import { systemClock } from "../../linux/clock.ts";
import { systemRandom } from "../../linux/random.ts";
import { formatCidr, parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import type { SubnetPool } from "../../net/subnet_pool.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { orphanedEtcdLeases } from "../support/etcd_leases.ts";
import { hostIdOf } from "../support/host_ids.ts";

const PREFIX = "/coreos.com/network";
const SUBNETS = `${PREFIX}/subnets/`;

const pool: SubnetPool = {
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 24,
  first: parseIpv4("10.1.1.0")!,
  last: parseIpv4("10.1.255.0")!,
};
const components = { clock: systemClock, random: systemRandom };

/** A host with a lease keeper and a peer watch on a real etcd. */
class Host implements AsyncDisposable {
  readonly #end = new AbortController();
  readonly #registry: EtcdLeaseRegistry;
  readonly keeper: LeaseKeeper;
  readonly attributes: LeaseAttributes;
  readonly phases: string[] = [];
  readonly peers = new Map<string, boolean>();
  #running: Promise<unknown> = Promise.resolve();

  constructor(etcd: EtcdServer, number: number, ttlSeconds = 86_400) {
    this.#registry = new EtcdLeaseRegistry({
      endpoints: [etcd.endpoint],
      prefix: PREFIX,
      deadlineMs: 2_000,
    });
    this.attributes = {
      publicIp: parseIpv4(`198.51.${100 + (number >> 8)}.${number & 255}`)!,
      backendType: "udp",
      hostId: hostIdOf(number),
    };
    this.keeper = new LeaseKeeper(
      { ...components, registry: this.#registry },
      { ttlSeconds, renewMarginSeconds: ttlSeconds / 2 },
    );
    this.keeper.onStatus(({ state: { phase } }) => {
      if (this.phases.at(-1) !== phase) this.phases.push(phase);
    });
  }

  get subnet(): string {
    return formatCidr(this.keeper.status.lease!.subnet);
  }

  get key(): string {
    return `${SUBNETS}${this.keeper.status.lease!.name}`;
  }

  get phase(): string {
    return this.keeper.status.state.phase;
  }

  async join(): Promise<this> {
    const { signal } = this.#end;
    const { subnet } = await this.keeper.acquire(pool, this.attributes, signal);
    const watch = new PeerWatch({ ...components, registry: this.#registry }, {
      self: {
        network: pool.network,
        subnet,
        backendType: "udp",
        publicIp: this.attributes.publicIp,
      },
      confirmSeconds: 0.2,
      onDiff: ({ added, changed, removed }) => {
        for (const peer of [...added, ...changed]) {
          this.peers.set(formatCidr(peer.subnet), peer.stale);
        }
        for (const peer of removed) this.peers.delete(formatCidr(peer.subnet));
        return Promise.resolve();
      },
    });
    this.#running = Promise.all([this.keeper.run(signal), watch.run(signal)]);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("the test is over"));
    await this.#running;
    this.#registry.close();
  }
}

/** Waits until `condition` holds. */
async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`it did not happen: ${what}`);
    await systemClock.sleep(50);
  }
}

Deno.test("leases on a real etcd: loss, conflict and peers of two hosts", async (test) => {
  await using etcd = await startEtcd();
  await using one = await new Host(etcd, 1).join();
  await using two = await new Host(etcd, 2).join();
  const value = async () =>
    (await etcd.ctl("get", "--print-value-only", one.key)).trim();
  const own =
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"00000000000000000000000000000001"}';

  await test.step("each is the other's peer", async () => {
    await until(() => one.peers.get(two.subnet) === false, "two is a peer");
    await until(() => two.peers.get(one.subnet) === false, "one is a peer");
    assertEquals([one.peers.size, two.peers.size], [1, 1]);
    assertEquals(await value(), own);
  });

  await test.step("a deleted key is taken again, and its peers lose nothing", async () => {
    await etcd.ctl("del", one.key);
    await until(async () => await value() === own, "the key is back");
    await until(() => two.peers.get(one.subnet) === false, "one is not stale");
  });

  await test.step("a key that is deleted, or detached from its etcd lease, leaves no etcd lease behind", async () => {
    await etcd.ctl("del", one.key);
    await until(async () => await value() === own, "the key is back");
    await etcd.ctl("put", one.key, "spoilt");
    await until(async () => await value() === own, "the value is back");
    await until(
      async () => (await orphanedEtcdLeases(etcd.ctl)).length === 0,
      "every etcd lease has a key",
    );
  });

  await test.step("a revoked etcd lease is replaced", async () => {
    // As text: the number is larger than JSON.parse can keep apart.
    const text = await etcd.ctl("get", one.key, "--write-out=json");
    const hex = BigInt(/"lease":(\d+)/.exec(text)![1]!).toString(16);
    await etcd.ctl("lease", "revoke", hex);
    await until(async () => await value() === own, "the key is back");
  });

  await test.step("a foreign value is a conflict, is left alone, and another subnet is taken", async () => {
    const theirs = '{"PublicIP":"198.51.100.77"}';
    const { key } = one;
    one.phases.length = 0;
    await etcd.ctl("put", key, theirs);
    await until(() => one.key !== key && one.phase === "held", "held again");
    assert(one.phases.includes("conflict"), one.phases.join(" "));
    assertEquals(await value(), own);
    const left = await etcd.ctl("get", "--print-value-only", key);
    assertEquals(left.trim(), theirs);
    await etcd.ctl("del", key);
  });

  await test.step("odd keys and values cost no peer", async () => {
    await etcd.ctl("put", `${SUBNETS}garbage`, "garbage");
    await etcd.ctl("put", `${SUBNETS}10.1.200.0-24`, "garbage");
    await etcd.ctl("put", `${SUBNETS}10.1.201.0-24`, '{"PublicIP":"9.9.9.9"}');
    await until(() => one.peers.has("10.1.201.0/24"), "the good one");
    assertEquals(
      [...one.peers.keys()].sort(),
      [
        two.subnet,
        "10.1.201.0/24",
      ].sort(),
    );
  });

  await test.step("an etcd without its data gets both leases again", async () => {
    await etcd.kill();
    await until(() => one.phase === "degraded", "degraded");
    await etcd.start({ wipe: true });
    await until(async () => await value() === own, "the key is back");
    await until(
      () =>
        one.peers.get(two.subnet) === false &&
        two.peers.get(one.subnet) === false,
      "both are peers again",
    );
  });

  await test.step("a data path that starts rewrites the key once, and the lease is never gone", async () => {
    const revisions = async () => {
      const answer = await etcd.ctl("get", "-w", "fields", one.key);
      return {
        version: Number(/"Version" : (\d+)/.exec(answer)?.[1]),
        lease: /"Lease" : (-?\d+)/.exec(answer)?.[1],
      };
    };
    const before = await revisions();
    for (let i = 0; i < 3; i++) {
      one.keeper.advertise({ backendType: "udp", dataPath: "ebpf" });
    }
    await until(
      async () =>
        await value() === own.replace("}", ',"LodenDataPath":"ebpf"}'),
      "the value says ebpf",
    );
    await until(() => one.phase === "held", "held again");
    const after = await revisions();
    // A key that had vanished in between would begin again with version 1.
    assertEquals(after.version, before.version + 1);
    assert(after.lease !== before.lease && after.lease !== "0");
    assertEquals(two.peers.get(one.subnet), false);
    one.keeper.advertise({ backendType: "udp", dataPath: "tun" });
    await until(async () => (await value()).includes('"tun"'), "it says tun");
  });
});

Deno.test("leases on a real etcd: an etcd that is away for longer than the TTL", async () => {
  await using etcd = await startEtcd();
  await using host = await new Host(etcd, 1, 4).join();
  const { subnet } = host;
  await until(() => host.phases.includes("renewing"), "a renewal");
  await etcd.kill();
  await until(() => host.phase === "expired-but-serving", "expiry", 15_000);
  await etcd.start();
  await until(() => host.phase === "held", "held again", 3_000);
  assertEquals(host.subnet, subnet);
  const list = JSON.parse(await etcd.ctl("lease", "list", "--write-out=json"));
  assert((list.leases?.length ?? 0) <= 2, "at most one old lease is ending");
});

Deno.test("leases on a real etcd: fifty hosts that join at once get fifty subnets", async () => {
  await using etcd = await startEtcd();
  await using stack = new AsyncDisposableStack();
  const hosts = Array.from(
    { length: 50 },
    (_, number) => stack.use(new Host(etcd, number + 1)),
  );
  const began = performance.now();
  await Promise.all(hosts.map((host) => host.join()));
  const tookMs = performance.now() - began;
  assert(tookMs < 10_000, `it took ${tookMs} ms`);
  assertEquals(new Set(hosts.map((host) => host.subnet)).size, 50);
  const list = JSON.parse(await etcd.ctl("lease", "list", "--write-out=json"));
  assertEquals(list.leases.length, 50);
});

Deno.test("no bytes in etcd keep a host from a lease and from its peers", async () => {
  await using etcd = await startEtcd();
  const address = '"PublicIP":"198.51.100.1"';
  const odd: [string, string][] = [
    ["10.1.9.0-24", `{${address},"LodenHostId":"\\ud800"}`],
    ["10.1.10.0-24", `{${address},"LodenHostId":"../.."}`],
    ["10.1.11.0-24", `{${address},"LodenHostId":{"a":1}}`],
    ["10.1.12.0-24", `{${address},"BackendData":${"[".repeat(40_000)}}`],
    ["10.1.13.0-24", "\u0000\ud800"],
    ["10.1.14.0-24", " "],
    ["\u001b[2J", "{}"],
    ["", "{}"],
  ];
  for (const [name, value] of odd) {
    await etcd.ctlWith(value, "put", SUBNETS + name);
  }
  await using other = await new Host(etcd, 2).join();
  await using host = await new Host(etcd, 1).join();
  assertEquals(host.phase, "held");
  await until(() => host.peers.has(other.subnet), "the other is a peer");
});
