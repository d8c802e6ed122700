// Several hosts on one etcd, whatever happens to them and in whatever order: no
// two end with one subnet, or with subnets that overlap.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LeaseKeeper } from "../../../../lease/own/lease_keeper.ts";
import { encodeLeaseValue } from "../../../../lease/lease_codec.ts";
import { answerUntilAborted } from "../../../../lease/liveness/answer_probes.ts";
import type { LeaseRegistry } from "../../../../lease/registry.ts";
import {
  type Cidr,
  cidrSize,
  formatCidr,
  overlaps,
  parseCidr,
} from "../../../../net/cidr.ts";
import { type Ipv4, parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import type { SubnetPool } from "../../../../net/subnet_pool.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";
import { hostIdOf } from "../../../support/host_ids.ts";

const TTL_SECONDS = 600;
/** Shorter than what is left of a TTL when its renewal is due. */
const SHORT_OUTAGE_SECONDS = 200;
/**
 * Between two outages of a host: enough for a renewal that is due, also after
 * lost answers. Without it two short outages make one that outlasts the TTL.
 */
const RECOVERY_SECONDS = 60;
const HOSTS = 6;
const SPOILT = "garbage";
/** So few subnets that hosts meet; in some runs more hosts than subnets. */
const NETWORK = parseCidr("10.1.0.0/22")!;

function poolOf(subnetLength: number): SubnetPool {
  const first = NETWORK.address;
  const size = cidrSize({ address: first, prefixLength: subnetLength });
  const last = toIpv4(first + cidrSize(NETWORK) - size);
  return { network: NETWORK, subnetLength, first, last };
}

/** One host: runs of its agent, and what stays between them. */
class Host {
  /** The state file's; a host may lose it. */
  #remembered: Cidr | undefined;
  #ending: AbortController | undefined;
  #running: Promise<unknown> = Promise.resolve();
  keeper: LeaseKeeper | undefined;
  isCutOff = false;
  /** Monotonic clock, milliseconds: the end of the last outage. */
  connectedSinceMs = -Infinity;

  constructor(
    readonly world: World,
    readonly number: number,
  ) {}

  get id(): string {
    return hostIdOf(this.number);
  }

  get publicIp(): Ipv4 {
    const { hasTwins } = this.world;
    const number = hasTwins ? Math.min(this.number, HOSTS - 1) : this.number;
    return parseIpv4(`198.51.100.${number}`)!;
  }

  /** What its packets flow by; none while it looks for a subnet. */
  get subnet(): Cidr | undefined {
    const status = this.keeper?.status;
    return status?.state.phase === "conflict"
      ? undefined
      : status?.lease?.subnet;
  }

  join(subnetLength: number): void {
    if (this.keeper !== undefined) return;
    const { clock, etcd } = this.world;
    const registry = this.#cuttable(new FakeRegistry(etcd));
    const random = new FakeRandom(this.world.seed + this.number);
    const keeper = new LeaseKeeper({
      registry,
      clock,
      random,
      store: { saveLease: ({ subnet }) => this.#remembered = subnet },
    }, {
      ttlSeconds: TTL_SECONDS,
      renewMarginSeconds: TTL_SECONDS / 2,
      previous: this.#remembered === undefined
        ? []
        : [{ subnet: this.#remembered, source: "state" }],
    });
    keeper.onStatus(() => this.world.onStatus());
    const { signal } = this.#ending = new AbortController();
    const attributes = {
      publicIp: this.publicIp,
      backendType: "udp",
      hostId: this.id,
    };
    this.keeper = keeper;
    this.#running = keeper.acquire(poolOf(subnetLength), attributes, signal)
      .then(() => {
        // As when the data path has started.
        keeper.advertise({ backendType: "udp", dataPath: "ebpf" });
        return Promise.all([
          keeper.run(signal),
          answerUntilAborted({ registry, clock, random }, this.id, signal),
        ]);
      }).catch((error) => {
        if (!signal.aborted) throw error;
      });
  }

  /** At once, whatever it was doing, as by `kill -9`; its key stays. */
  kill(): void {
    this.#ending?.abort(new Error("killed"));
    this.keeper = undefined;
  }

  forget(): void {
    this.#remembered = undefined;
  }

  async ended(): Promise<void> {
    await this.#running;
  }

  /** While it is cut off calls fail, and those under way lose their answer. */
  #cuttable(registry: FakeRegistry): LeaseRegistry {
    const failIfCutOff = (operation: string) => {
      if (!this.isCutOff) return;
      throw this.world.etcd.error("unreachable", operation, true);
    };
    return new Proxy(registry, {
      get: (target, name: keyof LeaseRegistry) => {
        const method = target[name].bind(target) as (
          ...args: unknown[]
        ) => unknown;
        if (name.startsWith("watch")) return method;
        return async (...args: unknown[]) => {
          failIfCutOff(name);
          const result = await method(...args);
          failIfCutOff(name);
          return result;
        };
      },
    });
  }
}

/** The hosts, their etcd, and what is checked at every change. */
class World {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly hosts: readonly Host[];
  readonly #random: FakeRandom;
  #lostAnswers = 0;
  #backup: readonly [string, { value: string; etcdLeaseId: string }][] = [];
  #foreigners = 0;
  /** The first overlap that was seen. */
  overlap: string | undefined;

  /** @param hasTwins Whether the last two hosts have one PublicIP. */
  constructor(readonly seed: number, readonly hasTwins: boolean) {
    this.#random = new FakeRandom(seed);
    this.hosts = Array.from({ length: HOSTS }, (_, i) => new Host(this, i + 1));
    // It is not new: one that starts again is behind it for a good while.
    for (let i = 0; i < 10_000; i++) this.etcd.putConfig("{}");
    // Requests and answers take their time: hosts overtake each other.
    this.etcd.before = () => this.clock.sleep(this.#random.below(40));
    this.etcd.after = async (operation) => {
      await this.clock.sleep(this.#random.below(40));
      if (this.#lostAnswers === 0) return;
      this.#lostAnswers--;
      throw this.etcd.error("deadline", operation, true);
    };
  }

  onStatus(): void {
    this.overlap ??= this.findOverlap();
  }

  /** Between the subnets by which packets flow. */
  findOverlap(): string | undefined {
    const held = this.hosts.flatMap(({ id, subnet }) =>
      subnet === undefined ? [] : [{ id, subnet }]
    );
    return held.flatMap((one, i) =>
      held.slice(i + 1).filter((other) => overlaps(one.subnet, other.subnet))
        .map((other) =>
          `${one.id} ${formatCidr(one.subnet)}, ` +
          `${other.id} ${formatCidr(other.subnet)}`
        )
    )[0];
  }

  async pass(seconds: number): Promise<void> {
    const steps = Math.ceil(seconds / 10);
    for (let step = 0; step < steps; step++) {
      await this.clock.advance(seconds / steps * 1_000);
      this.etcd.expire();
      this.onStatus();
    }
  }

  async do(event: Event): Promise<void> {
    const { etcd } = this;
    switch (event.type) {
      case "join":
        this.hosts[event.host]!.join(event.subnetLength);
        break;
      case "kill":
        this.hosts[event.host]!.kill();
        break;
      case "forget":
        this.hosts[event.host]!.forget();
        break;
      case "cut-off":
        await this.#cutOff(this.hosts[event.host]!, event.seconds);
        break;
      case "lose-answers":
        this.#lostAnswers = event.count;
        break;
      case "compact":
        etcd.compact();
        break;
      case "delete":
        this.#withKey(event.pick, (name) => etcd.delete(name));
        break;
      case "revoke":
        this.#withKey(
          event.pick,
          (name) => etcd.revoke(etcd.key(name)!.etcdLeaseId),
        );
        break;
      case "overwrite":
        this.#withKey(event.pick, (name) => {
          const publicIp = toIpv4(
            parseIpv4("203.0.113.0")! + ++this.#foreigners,
          );
          etcd.put(
            name,
            encodeLeaseValue({ publicIp, backendType: "udp" }),
            etcd.grant(TTL_SECONDS),
          );
        });
        break;
      case "spoil":
        this.#withKey(event.pick, (name) => etcd.put(name, SPOILT));
        break;
      case "back-up":
        this.#backup = etcd.entries();
        break;
      case "restore":
        await this.#restart(this.#backup);
        break;
      case "wipe":
        await this.#restart([]);
        break;
    }
    await this.pass(event.thenSeconds);
  }

  async #cutOff(host: Host, seconds: number): Promise<void> {
    const connectedSeconds = (this.clock.monotonic() - host.connectedSinceMs) /
      1_000;
    await this.pass(Math.max(0, RECOVERY_SECONDS - connectedSeconds));
    host.isCutOff = true;
    this.etcd.breakWatches("unreachable");
    await this.pass(seconds);
    host.isCutOff = false;
    host.connectedSinceMs = this.clock.monotonic();
  }

  /** etcd starts again, on other data than before. */
  async #restart(
    entries: readonly [string, { value: string; etcdLeaseId: string }][],
  ): Promise<void> {
    const { etcd } = this;
    etcd.wipe();
    etcd.fault = "unreachable";
    for (const [name, { value, etcdLeaseId }] of entries) {
      const id = etcdLeaseId === "0" ? "0" : etcd.grant(TTL_SECONDS);
      etcd.put(name, value, id);
    }
    await this.pass(1);
    etcd.fault = undefined;
  }

  #withKey(pick: number, action: (name: string) => void): void {
    const { names } = this.etcd;
    if (names.length > 0) action(names[pick % names.length]!);
  }

  async end(): Promise<void> {
    for (const host of this.hosts) host.kill();
    await this.pass(60);
    await Promise.all(this.hosts.map((host) => host.ended()));
  }
}

type Happening =
  | {
    readonly type: "join";
    readonly host: number;
    readonly subnetLength: number;
  }
  | { readonly type: "kill" | "forget"; readonly host: number }
  | {
    readonly type: "cut-off";
    readonly host: number;
    readonly seconds: number;
  }
  | { readonly type: "lose-answers"; readonly count: number }
  | {
    readonly type: "delete" | "revoke" | "overwrite" | "spoil";
    readonly pick: number;
  }
  | { readonly type: "compact" | "wipe" | "back-up" | "restore" };

type Event = Happening & { readonly thenSeconds: number };

const host = fc.nat(HOSTS - 1);
const pick = fc.nat(99);

const joins = fc.record({
  type: fc.constant("join" as const),
  host,
  subnetLength: fc.constantFrom(24, 24, 25, 26),
});

/** What hosts do, and what a network does to them. */
const gentle: readonly fc.WeightedArbitrary<Happening>[] = [
  { weight: 6, arbitrary: joins },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("kill" as const), host }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("forget" as const), host }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("cut-off" as const),
      host,
      seconds: fc.integer({ min: 1, max: SHORT_OUTAGE_SECONDS }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("lose-answers" as const),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "compact" as const }) },
];

/** And what others do to etcd. */
const rough: readonly fc.WeightedArbitrary<Happening>[] = [
  ...gentle,
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom(
        "delete" as const,
        "revoke" as const,
        "overwrite" as const,
        "spoil" as const,
      ),
      pick,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("cut-off" as const),
      host,
      seconds: fc.constant(2 * TTL_SECONDS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom(
        "wipe" as const,
        "back-up" as const,
        "restore" as const,
      ),
    }),
  },
];

/** Many at one moment, some a moment later, some when a TTL is over. */
const thenSeconds = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: fc.constantFrom(0.01, 0.03, 0.06, 0.1) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: TTL_SECONDS / 2 }) },
  { weight: 1, arbitrary: fc.constant(TTL_SECONDS + 1) },
);

function eventsOf(
  happenings: readonly fc.WeightedArbitrary<Happening>[],
): fc.Arbitrary<Event[]> {
  const event = fc.tuple(fc.oneof(...happenings), thenSeconds)
    .map(([happening, thenSeconds]): Event => ({ ...happening, thenSeconds }));
  return fc.array(event, { minLength: 4, maxLength: 30 });
}

/** What no waiting for etcd cures. */
const MAY_WAIT_FOR = ["lease.pool-exhausted", "lease.public-ip-in-use"];

/** Once nothing happens any more, a subnet for each, or the reason why not. */
async function assertOrder(world: World): Promise<void> {
  await world.pass(2 * TTL_SECONDS + 120);
  assertEquals(world.findOverlap(), undefined);
  const { names } = world.etcd;
  // A corrupt value belongs to no host, and stays where it was written.
  const keys = names.filter((name) => world.etcd.value(name) !== SPOILT)
    .map((name) => parseCidr(name.replace("-", "/"))!);
  for (const [i, one] of keys.entries()) {
    for (const other of keys.slice(i + 1)) {
      assert(!overlaps(one, other), `in etcd: ${names.join(" ")}`);
    }
  }
  for (const { id, keeper } of world.hosts) {
    if (keeper === undefined) continue;
    const { state, lease } = keeper.status;
    // In the middle of a renewal, nothing is wrong.
    if (state.phase === "renewing" && state.cause === undefined) continue;
    if (state.phase !== "held") {
      const { code = "" } = state.cause ?? {};
      assert(MAY_WAIT_FOR.includes(code), `${id} ${state.phase} ${code}`);
      continue;
    }
    assert(
      world.etcd.value(lease!.name)?.includes(`"${id}"`),
      `${id} ${names}`,
    );
  }
  // Whoever was killed has left nothing that outlives its TTL.
  const running = world.hosts.filter(({ keeper }) => keeper !== undefined);
  assert(world.etcd.etcdLeaseCount <= running.length);
}

async function run(
  world: World,
  events: readonly Event[],
): Promise<World> {
  for (const event of events) await world.do(event);
  return world;
}

Deno.test("hosts that join, die, are cut off and lose races and answers never have overlapping subnets", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), eventsOf(gentle), async (seed, events) => {
      const world = await run(new World(seed, false), events);
      try {
        await assertOrder(world);
        assertEquals(world.overlap, undefined);
      } finally {
        await world.end();
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("whatever is done to etcd, hosts come to subnets that do not overlap, each with its own key", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), eventsOf(rough), async (seed, events) => {
      const world = await run(new World(seed, true), events);
      try {
        await assertOrder(world);
      } finally {
        await world.end();
      }
    }),
    { numRuns: 300 },
  );
});
