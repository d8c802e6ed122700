import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  LeaseKeeper,
  type LeaseKeeperOptions,
} from "../../../../lease/own/lease_keeper.ts";
import type { LeaseAttributes } from "../../../../lease/lease.ts";
import { encodeLeaseValue } from "../../../../lease/lease_codec.ts";
import type { StoredLease } from "../../../../lease/saved/state_store.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import type { SubnetPool } from "../../../../net/subnet_pool.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { hostIdOf } from "../../../support/host_ids.ts";

const HOUR = 3_600_000;

const pool: SubnetPool = {
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 24,
  first: parseIpv4("10.1.1.0")!,
  last: parseIpv4("10.1.255.0")!,
};

function attributesOf(host: number): LeaseAttributes {
  return {
    publicIp: parseIpv4(`198.51.100.${host}`)!,
    backendType: "udp",
    hostId: hostIdOf(host),
  };
}

/** One host with its keeper, and the store that it shares with others. */
class Host implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly attributes: LeaseAttributes;
  readonly keeper: LeaseKeeper;
  /** Phase and cause at each change, e.g. `degraded registry.refused`. */
  readonly states: string[] = [];
  readonly saved: StoredLease[] = [];
  readonly #end = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    readonly etcd: FakeEtcd,
    { number = 1, ...options }: LeaseKeeperOptions & { number?: number } = {},
  ) {
    this.clock = etcd.clock as FakeClock;
    this.attributes = attributesOf(number);
    this.keeper = new LeaseKeeper({
      registry: new FakeRegistry(etcd),
      clock: this.clock,
      random: new FakeRandom(number),
      store: { saveLease: (lease) => this.saved.push(lease) },
    }, options);
    this.keeper.onStatus(({ state }) => {
      const text = [state.phase, state.cause?.code].filter(Boolean).join(" ");
      if (this.states.at(-1) !== text) this.states.push(text);
    });
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  get phase(): string {
    return this.keeper.status.state.phase;
  }

  /** The name of the key that this host holds. */
  get name(): string {
    return this.keeper.status.lease!.name;
  }

  acquire(): Promise<unknown> {
    return this.keeper.acquire(pool, this.attributes, this.signal);
  }

  /** Acquires, and keeps the lease from then on. */
  async join(): Promise<this> {
    await this.acquire();
    this.#running = this.keeper.run(this.signal);
    await this.settle();
    this.states.length = 0;
    return this;
  }

  /** Lets time go by for clocks and TTLs, in steps as fine as a second. */
  async pass(milliseconds: number): Promise<void> {
    const steps = Math.min(100, Math.ceil(milliseconds / 1_000));
    for (let step = 0; step < steps; step++) {
      await this.clock.advance(milliseconds / steps);
      this.etcd.expire();
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await this.clock.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("the test is over"));
    await this.#running;
  }
}

function subnetOf(host: Host): string {
  return formatCidr(host.keeper.status.lease!.subnet);
}

function makeEtcd(): FakeEtcd {
  return new FakeEtcd(new FakeClock());
}

Deno.test("a first host takes a subnet of the pool for 24 hours", async () => {
  const etcd = makeEtcd();
  await using host = new Host(etcd);
  await host.acquire();
  assertEquals(etcd.names, [host.name]);
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertEquals(host.states, ["acquiring", "held"]);
  assertEquals(host.saved.length, 1);
  assertEquals(
    host.keeper.status.expiresAtMs! - host.clock.now(),
    24 * HOUR,
  );
});

Deno.test("a host that restarts takes its subnet again, without leaving an etcd lease behind", async () => {
  const etcd = makeEtcd();
  await using first = new Host(etcd);
  await first.acquire();
  for (let restart = 0; restart < 5; restart++) {
    await using again = new Host(etcd);
    await again.acquire();
    assertEquals(again.name, first.name);
  }
  assertEquals(etcd.names.length, 1);
  assertEquals(etcd.etcdLeaseCount, 1);
});

Deno.test("a host whose PublicIP has changed rewrites the same key", async () => {
  const etcd = makeEtcd();
  await using before = new Host(etcd);
  await before.acquire();
  await using after = new Host(etcd);
  const moved = {
    ...after.attributes,
    publicIp: parseIpv4("198.51.100.99")!,
  };
  await after.keeper.acquire(pool, moved, after.signal);
  assertEquals(etcd.names, [before.name]);
  assertEquals(etcd.value(before.name), encodeLeaseValue(moved));
});

Deno.test("the remembered subnet is taken when etcd has forgotten it", async () => {
  const etcd = makeEtcd();
  const subnet = parseCidr("10.1.77.0/24")!;
  await using host = new Host(etcd, {
    previous: [{ subnet, source: "subnet-file" }],
  });
  await host.acquire();
  assertEquals(host.name, "10.1.77.0-24");
});

Deno.test("fields of a later version survive a restart", async () => {
  const etcd = makeEtcd();
  etcd.put(
    "10.1.5.0-24",
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"00000000000000000000000000000001","Later":1}',
  );
  await using host = await new Host(etcd).join();
  assertEquals(
    etcd.value("10.1.5.0-24"),
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"00000000000000000000000000000001","Later":1}',
  );
  assertEquals(host.phase, "held");
});

Deno.test("a lease that no longer fits the config is deleted and another taken", async () => {
  const etcd = makeEtcd();
  etcd.put("10.2.5.0-24", encodeLeaseValue(attributesOf(1)));
  await using host = new Host(etcd);
  await host.acquire();
  assertEquals(etcd.names, [host.name]);
  assertNotEquals(host.name, "10.2.5.0-24");
});

Deno.test("a subnet that another host took in between is left to it", async () => {
  const etcd = makeEtcd();
  const taken: string[] = [];
  etcd.before = (operation) => {
    if (operation !== "create" || taken.length >= 5) return;
    // Whatever the host has chosen: everything free is taken before it.
    for (let i = 1; i <= 100; i++) {
      const name = `10.1.${i}.0-24`;
      if (etcd.value(name) === undefined) {
        etcd.put(name, encodeLeaseValue(attributesOf(2)));
      }
    }
    taken.push("once");
  };
  await using host = new Host(etcd);
  await host.acquire();
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assert(Number(host.name.split(".")[2]) > 100);
});

Deno.test("two hundred hosts that join at once get two hundred subnets", async () => {
  const etcd = makeEtcd();
  const hosts = Array.from(
    { length: 200 },
    (_, number) => new Host(etcd, { number }),
  );
  let joined = 0;
  const joining = Promise.all(
    hosts.map((host) => host.acquire().then(() => joined++)),
  );
  for (let i = 0; i < 100 && joined < 200; i++) await hosts[0]!.pass(1_000);
  await joining;
  const names = new Set(hosts.map((host) => host.name));
  assertEquals(names.size, 200);
  assertEquals(etcd.names.length, 200);
  assertEquals(etcd.etcdLeaseCount, 200);
});

Deno.test("etcd away at the start is waited for, with one state per reason", async () => {
  const etcd = makeEtcd();
  etcd.fault = "refused";
  await using host = new Host(etcd);
  const acquiring = host.acquire();
  await host.pass(60_000);
  assertEquals(host.states, ["acquiring registry.refused"]);
  etcd.fault = "no-leader";
  await host.pass(60_000);
  etcd.fault = undefined;
  const back = host.clock.monotonic();
  await host.pass(3_000);
  await acquiring;
  assertEquals(host.states, [
    "acquiring registry.refused",
    "acquiring registry.no-leader",
    "held",
  ]);
  assert(host.clock.monotonic() - back <= 3_000);
});

Deno.test("waiting for etcd ends at once when it is aborted", async () => {
  const etcd = makeEtcd();
  etcd.fault = "refused";
  const host = new Host(etcd);
  const outcome = host.acquire().catch((error) => error.message);
  await host.pass(5_000);
  await host[Symbol.asyncDispose]();
  assertEquals(await outcome, "the test is over");
  assertEquals(host.clock.sleepers, 0);
});

Deno.test("an exhausted pool is waited for, until a lease ends", async () => {
  const etcd = makeEtcd();
  for (let i = 1; i <= 255; i++) {
    etcd.put(`10.1.${i}.0-24`, encodeLeaseValue(attributesOf(2)));
  }
  await using host = new Host(etcd);
  const acquiring = host.acquire();
  await host.pass(30_000);
  assertEquals(host.states, ["acquiring lease.pool-exhausted"]);
  const { message } = host.keeper.status.state.cause!;
  assertStringIncludes(
    message,
    "255 leases hold all of the 255 subnets of /24 from 10.1.1.0 to 10.1.255.0 in 10.1.0.0/16",
  );
  assertStringIncludes(message, "SubnetLen 25 would give");
  etcd.delete("10.1.9.0-24");
  await host.pass(11_000);
  await acquiring;
  assertEquals(host.name, "10.1.9.0-24");
});

Deno.test("a lease is renewed on its margin, again and again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { modRevision } = etcd.key(host.name)!;
  await host.pass(22 * HOUR);
  assertEquals(etcd.key(host.name)!.modRevision, modRevision);
  await host.pass(1 * HOUR);
  const renewed = etcd.key(host.name)!.modRevision;
  assert(renewed > modRevision);
  for (let day = 0; day < 10; day++) {
    await host.pass(24 * HOUR);
    assertEquals(etcd.names, [host.name]);
  }
  assertEquals(etcd.etcdLeaseCount, 1);
  assertEquals(new Set(host.states), new Set(["held", "renewing"]));
  assertEquals(host.saved.at(-1)?.expiresAtMs, host.keeper.status.expiresAtMs);
});

Deno.test("hosts that started together do not renew together", async () => {
  const etcd = makeEtcd();
  const renewals = new Set<number>();
  etcd.before = (operation) => {
    if (operation === "renew") renewals.add(etcd.clock.monotonic());
  };
  await using stack = new AsyncDisposableStack();
  for (let number = 1; number <= 20; number++) {
    stack.use(await new Host(etcd, { number }).join());
  }
  await new Host(etcd).pass(23 * HOUR);
  assert(renewals.size >= 19, `${renewals.size} moments for 20 hosts`);
});

Deno.test("a machine that slept renews as soon as its wall clock says so", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { modRevision } = etcd.key(host.name)!;
  host.clock.jumpWallClock(23.5 * HOUR);
  await host.pass(60_000);
  assert(etcd.key(host.name)!.modRevision > modRevision);
  assertEquals(host.phase, "held");
});

Deno.test("a wall clock that is set back does not delay the renewal", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { modRevision } = etcd.key(host.name)!;
  host.clock.jumpWallClock(-100 * HOUR);
  await host.pass(23.5 * HOUR);
  assert(etcd.key(host.name)!.modRevision > modRevision);
  assertEquals(host.phase, "held");
});

Deno.test("a reservation keeps having no TTL, and is never renewed", async () => {
  const etcd = makeEtcd();
  etcd.put("10.1.5.0-24", '{"PublicIP":"198.51.100.1"}');
  await using host = await new Host(etcd).join();
  assertEquals(host.name, "10.1.5.0-24");
  assertEquals(host.keeper.status.expiresAtMs, undefined);
  const written = etcd.key(host.name)!;
  assertEquals(written.value, encodeLeaseValue(host.attributes));
  assertEquals(written.etcdLeaseId, "0");
  await host.pass(100 * HOUR);
  assertEquals(etcd.key(host.name), written);
  assertEquals(host.phase, "held");
});

Deno.test("etcd away for a while is degraded and then held again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.fault = "refused";
  etcd.breakWatches("refused");
  await host.pass(600_000);
  assertEquals(host.states, ["degraded registry.refused"]);
  etcd.fault = undefined;
  await host.pass(2_000);
  assertEquals(host.states, ["degraded registry.refused", "held"]);
  assertEquals(etcd.names, [host.name]);
});

Deno.test("etcd away for longer than the TTL: expired, serving, and the same subnet again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.fault = "unreachable";
  etcd.breakWatches("unreachable");
  await host.pass(23 * HOUR);
  assertEquals(host.phase, "degraded");
  await host.pass(2 * HOUR);
  assertEquals(host.phase, "expired-but-serving");
  assertEquals(etcd.names, []);
  etcd.fault = undefined;
  await host.pass(2_000);
  assertEquals(host.phase, "held");
  assertEquals(etcd.names, [name]);
  assertEquals(host.states, [
    "degraded registry.unreachable",
    "expired-but-serving registry.unreachable",
    "held",
  ]);
});

Deno.test("an etcd that can be read and not written stays degraded, and is not hammered", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  let writes = 0;
  etcd.before = (operation) => {
    if (operation !== "renew") return;
    writes++;
    throw etcd.error("no-space", "renew");
  };
  await host.pass(23 * HOUR);
  await host.pass(60_000);
  assertEquals(host.states, ["renewing", "degraded registry.no-space"]);
  assert(writes < 700, `${writes} attempts in an hour`);
  etcd.before = () => {};
  await host.pass(11_000);
  assertEquals(host.phase, "held");
});

Deno.test("a deleted key is taken again at once", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.delete(name);
  await host.settle();
  assertEquals(etcd.value(name), encodeLeaseValue(host.attributes));
  assertEquals(host.states, ["renewing lease.deleted", "held"]);
  etcd.revoke(etcd.key(name)!.etcdLeaseId);
  await host.settle();
  assertEquals(etcd.names, [name]);
  assertEquals(host.phase, "held");
});

Deno.test("a wiped etcd gets the lease again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.wipe();
  await host.pass(3_000);
  assertEquals(etcd.names, [name]);
  assertEquals(host.phase, "held");
  etcd.delete(name);
  await host.settle();
  assertEquals(etcd.names, [name], "the watch follows the new history");
});

Deno.test("a value that was overwritten with garbage is written again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.put(host.name, "garbage");
  await host.settle();
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertNotEquals(etcd.key(host.name)!.etcdLeaseId, "0", "it has a TTL");
  assertEquals(host.states, ["renewing lease.unreadable", "held"]);
  etcd.put(host.name, "{}", etcd.key(host.name)!.etcdLeaseId);
  await host.settle();
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
});

Deno.test("an old backup with our host id is brought up to date", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const old = { ...host.attributes, publicIp: parseIpv4("198.51.100.50")! };
  etcd.put(host.name, encodeLeaseValue(old));
  await host.settle();
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertEquals(host.phase, "held");
});

Deno.test("a foreign host on our key is a conflict at once, and another subnet is acquired", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  const causes: (string | undefined)[] = [];
  host.keeper.onStatus(({ state }) => causes.push(state.cause?.message));
  const theirs = encodeLeaseValue(attributesOf(2));
  etcd.put(name, theirs);
  await host.settle();
  assertEquals(host.states, ["conflict lease.taken", "held"]);
  assertEquals(
    causes[0],
    `${
      formatCidr(parseCidr(name.replace("-", "/"))!)
    } is now held by 198.51.100.2, with host id ${hostIdOf(2)}`,
  );
  assertNotEquals(host.name, name);
  assertEquals(etcd.value(name), theirs, "it is not fought for");
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertEquals(formatCidr(host.saved.at(-1)!.subnet), subnetOf(host));
  await host.pass(48 * HOUR);
  assertEquals(host.phase, "held");
  assertEquals(etcd.names.length, 2);
  assertEquals(etcd.etcdLeaseCount, 1, "no etcd lease is left behind");
});

Deno.test("a conflict without a free subnet stays one, says both reasons once, and ends with the first that is free", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  for (let i = 1; i <= 255; i++) {
    etcd.put(`10.1.${i}.0-24`, encodeLeaseValue(attributesOf(2)));
  }
  await host.pass(60_000);
  assertEquals(host.states, [
    "conflict lease.taken",
    "conflict lease.pool-exhausted",
  ]);
  const { message } = host.keeper.status.state.cause!;
  assertStringIncludes(message, "is now held by 198.51.100.2");
  assertStringIncludes(message, "no other subnet yet: Cannot lease a subnet");
  etcd.delete(name);
  await host.pass(11_000);
  assertEquals(host.phase, "held");
  assertEquals(host.name, name, "the one that is in use comes first");
});

Deno.test("a subnet that is overlapped meanwhile is a conflict also while no other is free", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.fault = "refused";
  etcd.breakWatches("refused");
  etcd.delete(host.name);
  etcd.put("10.1.0.0-16", encodeLeaseValue(attributesOf(2)));
  etcd.fault = undefined;
  await host.pass(60_000);
  assertEquals(host.phase, "conflict");
  assertStringIncludes(
    host.keeper.status.state.cause!.message,
    "overlaps a lease that another host has taken; no other subnet yet",
  );
});

Deno.test("a write whose overlap could not be looked for is looked at before it counts", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd, {
    previous: [{ subnet: parseCidr("10.1.5.0/24")!, source: "state" }],
  }).join();
  etcd.before = (operation) => {
    if (operation === "create") {
      etcd.put("10.1.5.128-25", encodeLeaseValue(attributesOf(2)));
    }
    if (operation !== "listWritten") return;
    etcd.before = () => {};
    throw etcd.error("unreachable", "list the new leases");
  };
  etcd.delete(host.name);
  await host.pass(60_000);
  assertEquals(host.phase, "held");
  assertNotEquals(host.name, "10.1.5.0-24");
  assertEquals(etcd.names.includes("10.1.5.0-24"), false);
});

Deno.test("history that is compacted between a write and the look after it is no trouble", async () => {
  const etcd = makeEtcd();
  etcd.before = (operation) => {
    if (operation !== "listWritten") return;
    etcd.before = () => {};
    throw etcd.error("compacted", "list the new leases");
  };
  await using host = new Host(etcd);
  await host.acquire();
  assertEquals(host.states, ["acquiring", "held"]);
  assertEquals(etcd.names, [host.name]);
  assertEquals(etcd.etcdLeaseCount, 1);
});

Deno.test("a key that was created again with another value is not overwritten, but taken again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd, {
    previous: [{ subnet: parseCidr("10.1.5.0/24")!, source: "state" }],
  }).join();
  etcd.fault = "refused";
  etcd.breakWatches("refused");
  etcd.delete(host.name);
  etcd.put("10.1.5.128-25", encodeLeaseValue(attributesOf(2)));
  etcd.put(host.name, "garbage", etcd.grant(60));
  etcd.fault = undefined;
  await host.pass(60_000);
  assertEquals(host.phase, "held");
  assertNotEquals(host.name, "10.1.5.0-24");
  assertEquals(etcd.names, ["10.1.5.128-25", host.name].sort());
});

Deno.test("a conflict outlives an etcd that goes away, and ends when it is back", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.before = (operation) => {
    if (operation === "list") throw etcd.error("refused", "list");
  };
  etcd.put(name, encodeLeaseValue(attributesOf(2)));
  await host.pass(30 * HOUR);
  assertEquals(host.states, [
    "conflict lease.taken",
    "conflict registry.refused",
  ]);
  etcd.before = () => {};
  await host.pass(3_000);
  assertEquals(host.phase, "held");
  assertNotEquals(host.name, name);
});

Deno.test("what flannel or a person on this host writes is no conflict: the value is written again", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.put(host.name, '{"PublicIP":"198.51.100.1","PublicIPv6":null}');
  await host.settle();
  assertEquals(host.phase, "held");
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertEquals(etcd.names.length, 1);
});

Deno.test("a subnet that was taken while etcd was away is found when it is back, and another one acquired", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.fault = "unreachable";
  etcd.breakWatches("unreachable");
  await host.pass(25 * HOUR);
  etcd.put(name, encodeLeaseValue(attributesOf(2)));
  etcd.fault = undefined;
  await host.pass(3_000);
  assertEquals(host.states, [
    "degraded registry.unreachable",
    "expired-but-serving registry.unreachable",
    "conflict lease.taken",
    "held",
  ]);
  assertNotEquals(host.name, name);
});

Deno.test("a subnet that was taken by a lease of another length meanwhile is not taken back", async (t) => {
  for (const other of ["10.1.0.0-17", "10.1.5.128-25", "10.1.128.0-17"]) {
    await t.step(other, async () => {
      const etcd = makeEtcd();
      await using host = await new Host(etcd, {
        previous: [{ subnet: parseCidr("10.1.5.0/24")!, source: "state" }],
      }).join();
      etcd.fault = "unreachable";
      etcd.breakWatches("unreachable");
      await host.pass(25 * HOUR);
      etcd.put(other, encodeLeaseValue(attributesOf(2)));
      etcd.fault = undefined;
      await host.pass(3_000);
      const isFree = other === "10.1.128.0-17";
      assertEquals(host.name === "10.1.5.0-24", isFree, host.name);
      assertEquals(host.states.includes("conflict lease.taken"), !isFree);
      assertEquals(host.phase, "held");
    });
  }
});

Deno.test("a subnet of another length that was taken between listing and write is given back", async () => {
  const etcd = makeEtcd();
  etcd.before = (operation) => {
    if (operation !== "create") return;
    etcd.before = () => {};
    etcd.put("10.1.0.0-18", encodeLeaseValue(attributesOf(2)));
  };
  await using host = new Host(etcd, {
    previous: [{ subnet: parseCidr("10.1.5.0/24")!, source: "state" }],
  });
  await host.acquire();
  assert(Number(host.name.split(".")[2]) >= 64, host.name);
  assertEquals(etcd.names, ["10.1.0.0-18", host.name]);
  assertEquals(etcd.etcdLeaseCount, 1);
});

Deno.test("waits for what a reset store reports only later", async () => {
  const etcd = makeEtcd();
  for (let i = 100; i < 110; i++) {
    etcd.put(`10.1.${i}.0-24`, encodeLeaseValue(attributesOf(2)));
  }
  etcd.before = (operation) => {
    if (operation !== "create") return;
    etcd.before = () => {};
    etcd.wipe();
    etcd.put("10.1.0.0-18", encodeLeaseValue(attributesOf(2)));
  };
  await using host = new Host(etcd, {
    previous: [{ subnet: parseCidr("10.1.5.0/24")!, source: "state" }],
  });
  await host.acquire();
  assert(Number(host.name.split(".")[2]) >= 64, host.name);
  assertEquals(etcd.names, ["10.1.0.0-18", host.name]);
});

/** A host that answers when it is asked. */
async function answering(etcd: FakeEtcd, number: number, name: string) {
  etcd.put(name, encodeLeaseValue(attributesOf(number)));
  etcd.answering.add(hostIdOf(number));
  await Promise.resolve();
}

/** As host 1, with the PublicIP of host 2. */
function sharingAddress(host: Host): LeaseAttributes {
  return { ...host.attributes, publicIp: attributesOf(2).publicIp };
}

Deno.test("a PublicIP of a host that answers is refused, with the flags that cure it, until that host is gone", async () => {
  const etcd = makeEtcd();
  await answering(etcd, 2, "10.1.9.0-24");
  await using host = new Host(etcd);
  const acquiring = host.keeper.acquire(
    pool,
    sharingAddress(host),
    host.signal,
  );
  await host.pass(60_000);
  assertEquals(host.states, ["acquiring lease.public-ip-in-use"]);
  const { message } = host.keeper.status.state.cause!;
  for (const word of ["198.51.100.2", hostIdOf(2), "10.1.9.0/24"]) {
    assertStringIncludes(message, word);
  }
  for (const flag of ["--public-ip=", "--iface=", "--take-over"]) {
    assertStringIncludes(message, flag);
  }
  assertEquals(etcd.names, ["10.1.9.0-24"], "nothing was written");
  etcd.answering.clear();
  await host.pass(60_000);
  await acquiring;
  assertEquals(host.name, "10.1.9.0-24");
});

Deno.test("--take-over takes the PublicIP of a host that answers, once", async () => {
  const etcd = makeEtcd();
  await answering(etcd, 2, "10.1.9.0-24");
  await using host = new Host(etcd, { takeOver: true });
  await host.keeper.acquire(pool, sharingAddress(host), host.signal);
  assertEquals(host.name, "10.1.9.0-24");
});

Deno.test("of two hosts with one PublicIP that join in one moment one is refused", async () => {
  const etcd = makeEtcd();
  etcd.answering.add(hostIdOf(1)).add(hostIdOf(2));
  await using first = new Host(etcd, { number: 1 });
  await using second = new Host(etcd, { number: 2 });
  const shared = attributesOf(9).publicIp;
  let joined = 0;
  const join = (host: Host) =>
    host.keeper.acquire(
      pool,
      { ...host.attributes, publicIp: shared },
      host.signal,
    ).then(() => joined++, () => {});
  const joins = [join(first), join(second)];
  await first.pass(60_000);
  assertEquals(joined, 1);
  assertEquals(etcd.names.length, 1);
  assertEquals(
    [first.phase, second.phase].sort(),
    ["acquiring", "held"],
  );
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await Promise.all(joins);
});

Deno.test("our own lease with this PublicIP is kept, even if another host has the address", async () => {
  const etcd = makeEtcd();
  etcd.put("10.1.5.0-24", encodeLeaseValue(attributesOf(1)));
  const other = { ...attributesOf(2), publicIp: attributesOf(1).publicIp };
  etcd.put("10.1.9.0-24", encodeLeaseValue(other));
  etcd.answering.add(hostIdOf(2));
  await using host = new Host(etcd);
  await host.acquire();
  assertEquals(host.name, "10.1.5.0-24");
});

Deno.test("a host that has moved rewrites its key with the new address", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  host.keeper.relocate(parseIpv4("198.51.100.77")!);
  await host.settle();
  assertEquals(etcd.names, [name]);
  assertEquals(
    etcd.value(name),
    encodeLeaseValue({
      ...host.attributes,
      publicIp: parseIpv4("198.51.100.77")!,
    }),
  );
  assertEquals(host.phase, "held");
  etcd.put(name, encodeLeaseValue(attributesOf(2)));
  await host.settle();
  assertStringIncludes(etcd.value(host.name)!, "198.51.100.77");
});

Deno.test("a renewal that etcd carried out and whose answer was lost does no harm", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  let lost = 0;
  etcd.after = (operation) => {
    if (operation !== "renew" || lost++ > 0) return;
    throw etcd.error("deadline", "renew", true);
  };
  await host.pass(23 * HOUR);
  await host.pass(60_000);
  assertEquals(lost >= 2, true);
  assertEquals(etcd.names, [name]);
  assertEquals(host.phase, "held");
  await host.pass(30 * HOUR);
  assertEquals(etcd.names, [name]);
});

Deno.test("an acquisition whose answer was lost finds its own lease", async () => {
  const etcd = makeEtcd();
  let lost = 0;
  etcd.after = (operation) => {
    if (operation !== "create" || lost++ > 0) return;
    throw etcd.error("deadline", "create", true);
  };
  await using host = new Host(etcd);
  const acquiring = host.acquire();
  await host.pass(5_000);
  await acquiring;
  assertEquals(etcd.names, [host.name]);
});

const EBPF = { backendType: "udp", dataPath: "ebpf" } as const;

Deno.test("what carries the packets is written into the lease once it is known, and only when it changes", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  host.keeper.advertise(EBPF);
  await host.settle();
  const said = encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" });
  assertEquals(etcd.value(name), said);
  assertEquals(host.states, ["renewing", "held"]);
  const { modRevision } = etcd.key(name)!;
  host.keeper.advertise(EBPF);
  await host.pass(HOUR);
  assertEquals(etcd.key(name)!.modRevision, modRevision);
  await host.pass(48 * HOUR);
  assertEquals(etcd.value(name), said, "renewals say it too");
  host.keeper.advertise({ backendType: "udp", dataPath: "tun" });
  await host.settle();
  assertEquals(
    etcd.value(name),
    encodeLeaseValue({ ...host.attributes, dataPath: "tun" }),
  );
  assertEquals(etcd.names, [name]);
  assertEquals(etcd.etcdLeaseCount, 1);
});

Deno.test("what is known before the lease is part of its first write", async () => {
  const etcd = makeEtcd();
  const writes: string[] = [];
  etcd.before = (operation) => void writes.push(operation);
  await using host = new Host(etcd);
  host.keeper.advertise(EBPF);
  await host.join();
  assertEquals(
    etcd.value(host.name),
    encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" }),
  );
  assert(!writes.includes("renew"), writes.join());
});

Deno.test("what a host said of its data path holds through a restart, until it says otherwise", async () => {
  const etcd = makeEtcd();
  const before = encodeLeaseValue({ ...attributesOf(1), dataPath: "ebpf" });
  etcd.put("10.1.5.0-24", before);
  await using host = await new Host(etcd).join();
  assertEquals(etcd.value("10.1.5.0-24"), before);
  host.keeper.advertise({ backendType: "udp", dataPath: "tun" });
  await host.settle();
  assertEquals(
    etcd.value("10.1.5.0-24"),
    encodeLeaseValue({ ...attributesOf(1), dataPath: "tun" }),
  );
});

Deno.test("what another host said of its data path is not said for this one", async () => {
  const etcd = makeEtcd();
  const other = { ...attributesOf(1), hostId: hostIdOf(0xdead) };
  etcd.put("10.1.5.0-24", encodeLeaseValue({ ...other, dataPath: "ebpf" }));
  await using host = new Host(etcd);
  const joining = host.join();
  // The other one is asked whether it is alive.
  await host.pass(30_000);
  await joining;
  assertEquals(etcd.value("10.1.5.0-24"), encodeLeaseValue(host.attributes));
});

Deno.test("what was learnt while etcd was away is written when it is back", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.fault = "unreachable";
  etcd.breakWatches("unreachable");
  await host.settle();
  host.keeper.advertise(EBPF);
  await host.pass(HOUR);
  etcd.fault = undefined;
  await host.pass(3_000);
  assertEquals(
    etcd.value(name),
    encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" }),
  );
  assertEquals(host.states, ["degraded registry.unreachable", "held"]);
});

Deno.test("a value that etcd refuses keeps the lease, and is not hammered", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  let writes = 0;
  etcd.before = (operation) => {
    if (operation !== "renew") return;
    writes++;
    throw etcd.error("permission", "renew");
  };
  host.keeper.advertise(EBPF);
  await host.pass(HOUR);
  assertEquals(host.states, ["renewing", "degraded registry.permission"]);
  assert(writes > 100 && writes < 1_000, `${writes} attempts in an hour`);
  assertEquals(etcd.value(name), encodeLeaseValue(host.attributes));
  etcd.before = () => {};
  await host.pass(11_000);
  assertEquals(host.phase, "held");
  assertEquals(
    etcd.value(name),
    encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" }),
  );
});

Deno.test("what a host has to say goes to its next subnet, not into a key in foreign hands", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  const theirs = encodeLeaseValue(attributesOf(2));
  etcd.before = (operation) => {
    if (operation === "list") throw etcd.error("refused", "list");
  };
  etcd.put(name, theirs);
  await host.settle();
  host.keeper.advertise(EBPF);
  await host.pass(60_000);
  assertEquals(etcd.value(name), theirs);
  assertEquals(etcd.names, [name]);
  const before = etcd.revision;
  etcd.before = () => {};
  await host.pass(3_000);
  assertEquals(
    etcd.value(host.name),
    encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" }),
  );
  assertEquals(etcd.revision - before, 1, "written once");
});

Deno.test("the watch may tell of a new value before its writer has the answer", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { revision } = etcd;
  etcd.after = async (operation) => {
    if (operation === "renew") await host.clock.sleep(1_000, host.signal);
  };
  host.keeper.advertise(EBPF);
  await host.settle();
  assertEquals(
    etcd.value(host.name),
    encodeLeaseValue({ ...host.attributes, dataPath: "ebpf" }),
  );
  await host.pass(10_000);
  assertEquals(host.phase, "held");
  assertEquals(etcd.revision - revision, 1, "written once");
});

Deno.test("a data path that changes during a write is written after it", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  const { name } = host;
  etcd.before = (operation) => {
    if (operation !== "renew") return;
    etcd.before = () => {};
    host.keeper.advertise({ backendType: "udp", dataPath: "tun" });
  };
  host.keeper.advertise(EBPF);
  await host.pass(3_000);
  assertEquals(
    etcd.value(name),
    encodeLeaseValue({ ...host.attributes, dataPath: "tun" }),
  );
  assertEquals(host.phase, "held");
  await host.pass(48 * HOUR);
  assertEquals(etcd.names, [name]);
});

Deno.test("compacted history is no trouble", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.compact();
  await host.settle();
  etcd.breakWatches("compacted");
  await host.settle();
  etcd.delete(host.name);
  await host.settle();
  assertEquals(etcd.names, [host.name]);
  assertEquals(host.states, ["renewing lease.deleted", "held"]);
});

Deno.test("a shortened TTL with a margin above it is renewed at half time", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd, {
    ttlSeconds: 60,
    renewMarginSeconds: 3_600,
  }).join();
  let renewals = 0;
  etcd.before = (operation) => {
    if (operation === "renew") renewals++;
  };
  await host.pass(600_000);
  assertEquals(etcd.names, [host.name]);
  assert(renewals >= 19 && renewals <= 25, `${renewals} in ten minutes`);
});

Deno.test("an unexpected error is a state as well, and the keeper recovers", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  etcd.before = (operation) => {
    if (operation === "get") throw new TypeError("a defect");
  };
  etcd.breakWatches("unreachable");
  await host.pass(20_000);
  assertEquals(host.phase, "degraded");
  assertEquals(host.keeper.status.state.cause?.code, "lease.unexpected");
  etcd.before = () => {};
  await host.pass(11_000);
  assertEquals(host.phase, "held");
});

Deno.test("stopping leaves the key in etcd and no timer behind", async () => {
  const etcd = makeEtcd();
  const host = await new Host(etcd).join();
  await host[Symbol.asyncDispose]();
  assertEquals(etcd.names, [host.name]);
  assertEquals(host.clock.sleepers, 0);
});

Deno.test("another backend's data replaces the former one's, or goes with it", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  host.keeper.advertise({ backendType: "udp", dataPath: "ebpf" });
  await host.settle();
  const backendData = { VNI: 1, VtepMAC: "0a:00:00:00:00:01" };
  host.keeper.advertise({ backendType: "vxlan", backendData });
  await host.settle();
  const { attributes } = host;
  assertEquals(
    etcd.value(host.name),
    encodeLeaseValue({ ...attributes, backendType: "vxlan", backendData }),
  );
  host.keeper.advertise({ backendType: "host-gw" });
  await host.settle();
  assertEquals(
    etcd.value(host.name),
    encodeLeaseValue({ ...attributes, backendType: "host-gw" }),
  );
});

Deno.test("a value that another program has put is written again, and the log says so", async () => {
  const etcd = makeEtcd();
  await using host = await new Host(etcd).join();
  using logs = new CapturedLogs();
  const foreign = { ...host.attributes, backendType: "vxlan" };
  etcd.put(host.name, encodeLeaseValue(foreign));
  await host.settle();
  assertEquals(etcd.value(host.name), encodeLeaseValue(host.attributes));
  assertEquals(logs.events("lease.restored").length, 1);
});
