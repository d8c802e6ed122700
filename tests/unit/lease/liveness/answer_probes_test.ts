import { assertEquals } from "@std/assert";
import type { LeaseAttributes } from "../../../../lease/lease.ts";
import { encodeLeaseValue } from "../../../../lease/lease_codec.ts";
import { LeaseKeeper } from "../../../../lease/own/lease_keeper.ts";
import {
  CALL_DEADLINE_MS,
  KEEPALIVE_LIMIT_MS,
  KEEPALIVE_PAUSE_MS,
} from "../../../../lease/liveness/answer_times.ts";
import { answerUntilAborted } from "../../../../lease/liveness/answer_probes.ts";
import type { LeaseRegistry } from "../../../../lease/registry.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";
import { hostIdOf } from "../../../support/host_ids.ts";

const HOLDER = hostIdOf(2);
const HELD = "10.1.9.0-24";

/** One host that holds a lease and answers, and one that wants its PublicIP. */
class TwoHosts implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly #end = new AbortController();
  readonly #tasks: Promise<unknown>[] = [];
  readonly causes: (string | undefined)[] = [];

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  constructor() {
    this.etcd.put(HELD, encodeLeaseValue(this.#attributes(HOLDER)));
  }

  #attributes(hostId: string): LeaseAttributes {
    const publicIp = parseIpv4("198.51.100.2")!;
    return { publicIp, backendType: "udp", hostId };
  }

  answer(registry: Pick<LeaseRegistry, "answerFor">): void {
    const { clock, signal } = this;
    const components = { registry, clock, random: new FakeRandom() };
    this.#tasks.push(answerUntilAborted(components, HOLDER, signal));
  }

  claim(): void {
    const keeper = new LeaseKeeper({
      registry: new FakeRegistry(this.etcd),
      clock: this.clock,
      random: new FakeRandom(1),
    });
    keeper.onStatus(({ state }) => void this.causes.push(state.cause?.code));
    const pool = {
      network: parseCidr("10.1.0.0/16")!,
      subnetLength: 24,
      first: parseIpv4("10.1.1.0")!,
      last: parseIpv4("10.1.255.0")!,
    };
    const attributes = this.#attributes(hostIdOf(1));
    this.#tasks.push(
      keeper.acquire(pool, attributes, this.signal).catch(() => {}),
    );
  }

  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 100) {
      await this.clock.advance(100);
      await this.clock.settle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("the test is over"));
    await Promise.all(this.#tasks);
  }
}

for (const fault of ["permission", "no-space", "unreachable"] as const) {
  Deno.test(`a living host that has just paused after "${fault}" is not taken for a dead one`, async () => {
    await using hosts = new TwoHosts();
    const { etcd } = hosts;
    let attempts = 0;
    etcd.before = (operation) => {
      if (operation !== "answerFor") return;
      attempts++;
      throw etcd.error(fault, operation);
    };
    hosts.answer(new FakeRegistry(etcd));
    await hosts.pass(60_000);
    // Its longest pause begins now.
    const before = attempts;
    while (attempts === before) await hosts.pass(100);
    etcd.before = () => {};
    hosts.claim();
    await hosts.pass(60_000);
    assertEquals(hosts.causes, ["lease.public-ip-in-use"]);
    assertEquals(etcd.names, [HELD]);
  });
}

Deno.test("a living host whose connection has just died silently is not taken for a dead one", async () => {
  await using hosts = new TwoHosts();
  const { clock, etcd } = hosts;
  let attempts = 0;
  hosts.answer({
    async answerFor(hostId, signal): Promise<never> {
      if (attempts++ === 0) {
        await clock.sleep(KEEPALIVE_PAUSE_MS + KEEPALIVE_LIMIT_MS, signal);
        throw etcd.error("unreachable", "watch liveness probes for this host");
      }
      // It lists the questions and answers, as late as calls may be.
      await clock.sleep(CALL_DEADLINE_MS, signal);
      await clock.sleep(CALL_DEADLINE_MS, signal);
      return await new FakeRegistry(etcd).answerFor(hostId, signal);
    },
  });
  hosts.claim();
  await hosts.pass(60_000);
  assertEquals(hosts.causes, ["lease.public-ip-in-use"]);
  assertEquals(etcd.names, [HELD]);
});
