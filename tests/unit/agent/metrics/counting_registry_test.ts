import { assertEquals, assertRejects } from "@std/assert";
import {
  countRegistry,
  RegistryCounts,
} from "../../../../agent/metrics/counting_registry.ts";
import { RegistryError } from "../../../../lease/errors.ts";
import { encodeLeaseValue } from "../../../../lease/lease_codec.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { toIpv4 } from "../../../../net/ipv4.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";

const SUBNET = parseCidr("10.1.5.0/24")!;
const ATTRIBUTES = {
  publicIp: toIpv4(0xc000020b),
  backendType: "udp",
  hostId: "00112233445566778899aabbccddeeff",
};

function world() {
  const clock = new FakeClock();
  const etcd = new FakeEtcd(clock);
  const counts = new RegistryCounts(clock);
  const registry = countRegistry(new FakeRegistry(etcd), counts, clock);
  const shown = (samples: RegistryCounts["calls"]) =>
    samples.filter(({ value }) => value > 0).map(({ labels, value }) =>
      `${Object.values(labels!).join(" ")} ${value}`
    );
  return { clock, etcd, counts, registry, shown };
}

Deno.test("calls are counted by what they are and how they end, and an answer is a contact", async () => {
  const { clock, counts, etcd, registry, shown } = world();
  const { signal } = new AbortController();
  assertEquals(counts.contactMs, undefined);
  await registry.list(signal);
  await clock.advance(5_000);
  await registry.list(signal);
  const contactMs = clock.now();
  assertEquals(counts.contactMs, contactMs);
  await clock.advance(5_000);
  etcd.fault = "no-leader";
  await assertRejects(() => registry.list(signal), RegistryError);
  assertEquals(shown(counts.calls), ["list ok 2", "list no-leader 1"]);
  assertEquals(counts.contactMs, contactMs);
  const count = counts.durations.samples().at(-1);
  assertEquals([count?.suffix, count?.value], ["_count", 3]);
});

Deno.test("a call that its caller gave up is no failure", async () => {
  const { counts, etcd, registry } = world();
  const gone = new AbortController();
  etcd.before = () => gone.abort(new Error("gone"));
  await assertRejects(() => registry.list(gone.signal));
  assertEquals(
    counts.calls.filter(({ labels }) => labels!.result !== "ok"),
    [],
  );
});

Deno.test("a renewal is ok, came too late, or failed", async () => {
  const { counts, etcd, registry, shown } = world();
  const { signal } = new AbortController();
  const lease = await registry.create(SUBNET, ATTRIBUTES, 60, signal);
  const renewed = await registry.renew(lease!, ATTRIBUTES, 60, signal);
  await registry.renew(lease!, ATTRIBUTES, 60, signal);
  etcd.fault = "refused";
  await assertRejects(() => registry.renew(renewed!, ATTRIBUTES, 60, signal));
  assertEquals(shown(counts.renewals), ["ok 1", "changed 1", "failed 1"]);
  // Each is there before it happens, or its first time is no increase.
  assertEquals(world().counts.renewals.map(({ value }) => value), [0, 0, 0]);
});

Deno.test("the end of the watch of all leases has a cause; this host's own watch is another one", async () => {
  const { counts, etcd, registry, shown } = world();
  const { signal } = new AbortController();
  const { revision } = await registry.list(signal);
  for (const only of [undefined, SUBNET]) {
    const events = registry.watch(revision, signal, only)
      [Symbol.asyncIterator]();
    etcd.put("10.1.5.0-24", encodeLeaseValue(ATTRIBUTES));
    await events.next();
    const next = events.next();
    etcd.breakWatches("unreachable");
    await assertRejects(() => next, RegistryError);
  }
  const due = new AbortController();
  const following = registry.watch(String(etcd.revision), due.signal)
    [Symbol.asyncIterator]().next();
  due.abort(new Error("due"));
  await assertRejects(() => following);
  assertEquals(shown(counts.resyncs), ["scheduled 1", "unreachable 1"]);
});
