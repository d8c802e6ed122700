/**
 * What every lease registry must do, run on the fake and on a real etcd.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { RegistryError } from "../../lease/errors.ts";
import { isReservation, type LeaseAttributes } from "../../lease/lease.ts";
import type { LeaseEvent, LeaseRegistry } from "../../lease/registry.ts";
import { formatCidr, parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { hostIdOf } from "../support/host_ids.ts";

/** A fresh, empty store, with a back door that knows no conditions. */
export interface RegistryStore extends AsyncDisposable {
  readonly registry: LeaseRegistry;
  /** A name below `subnets/`, as an administrator would write it: no TTL. */
  put(name: string, value: string): Promise<void>;
  delete(name: string): Promise<void>;
  deleteConfig(): Promise<void>;
  value(name: string): Promise<string | undefined>;
  /** Everything up to now leaves the history. */
  compact(): Promise<void>;
  /** How many etcd leases exist, used or not. */
  etcdLeaseCount(): Promise<number>;
  /** Lets so many seconds pass, or a little more, for TTLs. */
  pass(seconds: number): Promise<void>;
}

const subnet = parseCidr("10.1.5.0/24")!;
const other = parseCidr("10.1.6.0/24")!;
const name = "10.1.5.0-24";
const ours: LeaseAttributes = {
  publicIp: parseIpv4("198.51.100.1")!,
  backendType: "udp",
  hostId: hostIdOf(1),
};
const theirs: LeaseAttributes = {
  publicIp: parseIpv4("198.51.100.2")!,
  backendType: "vxlan",
  backendData: { VtepMAC: "22:3d:a5:7d:cb:62" },
};
const DAY = 86_400;
const never = new AbortController().signal;

/** Registers the tests under `title`; each gets a store of its own. */
export function registryContract(
  title: string,
  makeStore: () => Promise<RegistryStore>,
): void {
  const test = (
    sentence: string,
    run: (store: RegistryStore) => Promise<void>,
  ) =>
    Deno.test(`${title}: ${sentence}`, async () => {
      await using store = await makeStore();
      await run(store);
    });

  test("an absent config is undefined, not an error", async ({ registry }) => {
    assertEquals(await registry.readConfig(never), undefined);
  });

  test("a config is written only over the version that was read", async ({ registry }) => {
    assert(await registry.writeConfig("{}", undefined, never));
    assert(!await registry.writeConfig("{1}", undefined, never));
    const first = await registry.readConfig(never);
    assertEquals(first?.text, "{}");
    assert(await registry.writeConfig("{2}", first, never));
    assert(!await registry.writeConfig("{3}", first, never));
    assertEquals((await registry.readConfig(never))?.text, "{2}");
  });

  test("a watch of the config yields the present value, then its changes", async (store) => {
    const { registry } = store;
    const ending = new AbortController();
    const configs = registry.watchConfig(ending.signal)[Symbol.asyncIterator]();
    const next = async () => {
      const { value, done } = await configs.next();
      assert(!done);
      return value?.text;
    };
    assertEquals(await next(), undefined);
    await registry.writeConfig("{1}", undefined, never);
    assertEquals(await next(), "{1}");
    const first = await registry.readConfig(never);
    const second = next();
    await registry.writeConfig("{2}", first, never);
    assertEquals(await second, "{2}");
    // Of leases nothing is told.
    await registry.create(subnet, ours, DAY, never);
    const third = next();
    await store.deleteConfig();
    assertEquals(await third, undefined);
    await registry.writeConfig("{3}", undefined, never);
    assertEquals(await next(), "{3}");
    const last = next();
    ending.abort(new Error("the end"));
    await assertRejects(() => last, Error, "the end");
  });

  test("an empty store lists nothing", async ({ registry }) => {
    const snapshot = await registry.list(never);
    assertEquals(snapshot.leases, []);
    assertEquals(snapshot.rejected, []);
    assert(BigInt(snapshot.revision) > 0n);
  });

  test("a created lease has flannel's bytes and is listed", async (store) => {
    const lease = await store.registry.create(subnet, ours, DAY, never);
    assertEquals(
      await store.value(name),
      '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"00000000000000000000000000000001"}',
    );
    const { leases, revision } = await store.registry.list(never);
    assertEquals(leases, [lease!]);
    assertEquals(lease?.modRevision, revision);
    assert(!isReservation(lease!));
    const lookup = await store.registry.get(subnet, never);
    assertEquals(lookup.lease, lease);
    assertEquals(lookup.revision, revision);
  });

  test("a subnet that is held cannot be taken, and no etcd lease stays behind", async (store) => {
    const lease = await store.registry.create(subnet, theirs, DAY, never);
    assertEquals(
      await store.registry.create(subnet, ours, DAY, never),
      undefined,
    );
    assertEquals((await store.registry.get(subnet, never)).lease, lease);
    assertEquals(await store.etcdLeaseCount(), 1);
  });

  test("of many that take one subnet at once one gets it", async (store) => {
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, host) =>
        store.registry.create(
          subnet,
          { ...ours, hostId: hostIdOf(host) },
          DAY,
          never,
        )),
    );
    const winners = results.filter((lease) => lease !== undefined);
    assertEquals(winners.length, 1);
    assertEquals(
      (await store.registry.get(subnet, never)).lease,
      winners[0],
    );
    assertEquals(await store.etcdLeaseCount(), 1);
  });

  test("a renewal keeps the key, changes the etcd lease and leaves no old one", async (store) => {
    const lease = (await store.registry.create(subnet, ours, DAY, never))!;
    const moved = { ...ours, publicIp: parseIpv4("198.51.100.9")! };
    const renewed = (await store.registry.renew(lease, moved, DAY, never))!;
    assert(renewed.etcdLeaseId !== lease.etcdLeaseId);
    assert(BigInt(renewed.modRevision) > BigInt(lease.modRevision));
    assertEquals(lease.createRevision, lease.modRevision);
    assertEquals(renewed.createRevision, lease.createRevision);
    assertEquals((await store.registry.get(subnet, never)).lease, renewed);
    assertEquals(renewed.attributes, moved);
    assertEquals(await store.etcdLeaseCount(), 1);
  });

  test("a key that was created again differs from one that was overwritten", async (store) => {
    const { registry } = store;
    const made = (await registry.create(subnet, ours, DAY, never))!;
    await store.put(name, "garbage");
    const written = (await registry.get(subnet, never)).rejected!.version!;
    assertEquals(written.createRevision, made.createRevision);
    await store.delete(name);
    const again = (await registry.create(subnet, ours, DAY, never))!;
    assert(BigInt(again.createRevision) > BigInt(written.modRevision));
  });

  test("a lease that another client changed is not renewed", async (store) => {
    const lease = (await store.registry.create(subnet, ours, DAY, never))!;
    await store.put(name, '{"PublicIP":"198.51.100.7"}');
    assertEquals(
      await store.registry.renew(lease, ours, DAY, never),
      undefined,
    );
    assertEquals(await store.value(name), '{"PublicIP":"198.51.100.7"}');
  });

  test("a lease that is gone is not renewed", async (store) => {
    const lease = (await store.registry.create(subnet, ours, DAY, never))!;
    await store.delete(name);
    assertEquals(
      await store.registry.renew(lease, ours, DAY, never),
      undefined,
    );
    assertEquals(await store.value(name), undefined);
  });

  test("a reservation stays one when it is renewed", async (store) => {
    await store.put(name, '{"PublicIP":"198.51.100.1"}');
    const reserved = (await store.registry.get(subnet, never)).lease!;
    assert(isReservation(reserved));
    const renewed = (await store.registry.renew(reserved, ours, DAY, never))!;
    assert(isReservation(renewed));
    assertEquals(await store.etcdLeaseCount(), 0);
    assertEquals((await store.registry.get(subnet, never)).lease, renewed);
  });

  test("a lease is removed only while it is unchanged, with its etcd lease", async (store) => {
    const lease = (await store.registry.create(subnet, ours, DAY, never))!;
    const renewed = (await store.registry.renew(lease, ours, DAY, never))!;
    assert(!await store.registry.remove(lease, never));
    assertEquals((await store.registry.get(subnet, never)).lease, renewed);
    assert(await store.registry.remove(renewed, never));
    assertEquals(await store.value(name), undefined);
    assertEquals(await store.etcdLeaseCount(), 0);
  });

  test("bad keys and values are rejected one by one, the others are leases", async (store) => {
    await store.put("garbage", '{"PublicIP":"198.51.100.1"}');
    await store.put("10.1.7.0-24", "garbage");
    await store.put(
      "10.1.8.0-24&fc00:0:0:8::-64",
      '{"PublicIP":"198.51.100.8"}',
    );
    await store.registry.create(other, theirs, DAY, never);
    const { leases, rejected } = await store.registry.list(never);
    assertEquals(leases.map(({ name }) => name), [
      "10.1.6.0-24",
      "10.1.8.0-24&fc00:0:0:8::-64",
    ]);
    assertEquals(leases[0]?.attributes, theirs);
    assertEquals(leases.map((lease) => formatCidr(lease.subnet)), [
      "10.1.6.0/24",
      "10.1.8.0/24",
    ]);
    assertEquals(
      rejected.map(({ key }) => key.split("/subnets/")[1]).sort(),
      ["10.1.7.0-24", "garbage"],
    );
    const value = rejected.find(({ version }) => version !== undefined)!;
    assertEquals(value.version!.name, "10.1.7.0-24");
    assert(rejected.every(({ reason }) => reason.includes("must be")));
  });

  test("a listing is of one moment, however long it takes", async (store) => {
    const held = Array.from({ length: 30 }, (_, i) => `10.1.${i + 10}.0-24`);
    for (const name of held) {
      await store.put(name, '{"PublicIP":"198.51.100.1"}');
    }
    const { revision } = await store.registry.list(never);
    const [listing] = await Promise.all([
      store.registry.list(never),
      // Before what has been read, and behind it.
      store.put("10.1.100.0-24", '{"PublicIP":"198.51.100.1"}')
        .then(() => store.delete("10.1.10.0-24")),
    ]);
    const names = new Set(held);
    if (BigInt(listing.revision) > BigInt(revision)) names.add("10.1.100.0-24");
    if (BigInt(listing.revision) > BigInt(revision) + 1n) {
      names.delete("10.1.10.0-24");
    }
    assertEquals(
      listing.leases.map(({ name }) => name),
      [...names].sort(),
    );
  });

  test("a key with a bad value can be looked up and overwritten", async (store) => {
    await store.put(name, "garbage");
    const { rejected, lease } = await store.registry.get(subnet, never);
    assertEquals(lease, undefined);
    const renewed = await store.registry.renew(
      rejected!.version!,
      ours,
      DAY,
      never,
    );
    assertEquals((await store.registry.get(subnet, never)).lease, renewed);
  });

  test("a watch sees every change after its revision, in order, and no other", async (store) => {
    const { registry } = store;
    await registry.create(other, theirs, DAY, never);
    const { revision } = await registry.list(never);
    const lease = (await registry.create(subnet, ours, DAY, never))!;
    const events = collect(registry.watch(revision, never), 5);
    await store.put("10.1.7.0-24", "garbage");
    const renewed = (await registry.renew(lease, ours, DAY, never))!;
    await registry.remove(renewed, never);
    await store.put("10.1.8.0-24", '{"PublicIP":"198.51.100.8"}');
    const seen = await events;
    assertEquals(seen.map(describe), [
      "put 10.1.5.0/24",
      "rejected 10.1.7.0-24",
      "put 10.1.5.0/24",
      "delete 10.1.5.0/24",
      "put 10.1.8.0/24",
    ]);
    assertEquals(
      seen[2]?.type === "put" ? seen[2].lease : undefined,
      renewed,
    );
    const revisions = seen.map((event) => BigInt(event.revision));
    assertEquals(revisions, revisions.toSorted((a, b) => a < b ? -1 : 1));
  });

  test("a watch of one subnet sees that one alone", async (store) => {
    const { revision } = await store.registry.list(never);
    const events = collect(store.registry.watch(revision, never, subnet), 2);
    await store.put("10.1.6.0-24", '{"PublicIP":"198.51.100.6"}');
    await store.put("10.1.5.0-24&fc00::-64", '{"PublicIP":"198.51.100.6"}');
    await store.put(name, '{"PublicIP":"198.51.100.1"}');
    await store.delete(name);
    assertEquals((await events).map(describe), [
      "put 10.1.5.0/24",
      "delete 10.1.5.0/24",
    ]);
  });

  test("a lease ends with its TTL, and the watch sees that", async (store) => {
    await store.registry.create(subnet, ours, 2, never);
    const { revision } = await store.registry.list(never);
    const events = collect(store.registry.watch(revision, never), 1);
    await store.pass(4);
    assertEquals((await events).map(describe), ["delete 10.1.5.0/24"]);
    assertEquals((await store.registry.list(never)).leases, []);
  });

  test("a watch from a revision that was compacted says so", async (store) => {
    const { revision } = await store.registry.list(never);
    await store.put(name, '{"PublicIP":"198.51.100.1"}');
    await store.put(name, '{"PublicIP":"198.51.100.2"}');
    await store.compact();
    const error = await assertRejects(
      () => collect(store.registry.watch(revision, never), 1),
      RegistryError,
    );
    assertEquals((error as RegistryError).fault, "compacted");
  });

  test("what was written between two revisions is listed as it was at the second", async (store) => {
    const { registry } = store;
    await registry.create(other, theirs, DAY, never);
    const { revision } = await registry.list(never);
    await store.put("10.1.7.0-24", '{"PublicIP":"198.51.100.7"}');
    await store.put("10.1.9.0-24", "garbage");
    const lease = (await registry.create(subnet, ours, DAY, never))!;
    await store.put("10.1.8.0-24", '{"PublicIP":"198.51.100.8"}');
    await store.delete("10.1.7.0-24");
    const span = { after: revision, upTo: lease.modRevision };
    const written = await registry.listWritten(span, never);
    assertEquals(written.map(({ name }) => name).sort(), [
      "10.1.5.0-24",
      "10.1.7.0-24",
    ]);
    assertEquals(written.find((one) => one.name === name), lease);
  });

  test("a lease says how long it has left, a reservation and an ended one do not", async (store) => {
    const { registry } = store;
    const lease = (await registry.create(subnet, ours, 60, never))!;
    const seconds = (await registry.remainingSeconds(lease, never))!;
    assert(seconds > 50 && seconds <= 60, `${seconds} s`);
    await store.put("10.1.6.0-24", '{"PublicIP":"198.51.100.6"}');
    const reserved = (await registry.get(other, never)).lease!;
    assertEquals(await registry.remainingSeconds(reserved, never), undefined);
    await registry.remove(lease, never);
    assertEquals(await registry.remainingSeconds(lease, never), undefined);
  });

  test("only a host that answers is alive, and nothing stays behind", async (store) => {
    const { registry } = store;
    const answering = new AbortController();
    const answers = registry.answerFor(hostIdOf(1), answering.signal);
    answers.catch(() => {});
    // Who asks too early is answered as well.
    assert(await registry.isAlive(hostIdOf(1), 20_000, never));
    assertEquals(
      await Promise.all(
        [1, 2, 3].map(() => registry.isAlive(hostIdOf(1), 20_000, never)),
      ),
      [true, true, true],
    );
    const stranger = registry.isAlive(hostIdOf(2), 1_000, never);
    await store.pass(1.5);
    assertEquals(await stranger, false);
    answering.abort(new Error("the host has gone"));
    assertEquals(
      await answers.catch((error: Error) => error.message),
      "the host has gone",
    );
    const gone = registry.isAlive(hostIdOf(1), 1_000, never);
    await store.pass(1.5);
    assertEquals(await gone, false);
    assertEquals(await store.etcdLeaseCount(), 0);
    assertEquals((await registry.list(never)).leases, []);
  });

  test("an aborted call and an aborted watch reject with the signal's reason", async (store) => {
    const reason = new Error("the test is over");
    const aborted = AbortSignal.abort(reason);
    assertEquals(
      await store.registry.list(aborted).catch((error) => error),
      reason,
    );
    const { revision } = await store.registry.list(never);
    const later = new AbortController();
    const events = collect(store.registry.watch(revision, later.signal), 1);
    setTimeout(() => later.abort(reason), 50);
    assertEquals(await events.catch((error) => error), reason);
  });

  test("replacing the connections ends the watches, and the next watch sees what was missed", async (store) => {
    const { registry } = store;
    const { revision } = await registry.list(never);
    const watch = registry.watch(revision, never)[Symbol.asyncIterator]();
    const first = watch.next();
    await store.put(name, "garbage");
    const { value } = await first;
    const last = watch.next();
    registry.reconnect();
    await assertRejects(() => last, RegistryError);
    await store.put("10.1.6.0-24", "garbage");
    const events = await collect(
      registry.watch(value!.at(-1)!.revision, never),
      1,
    );
    assertEquals(events.map(describe), ["rejected 10.1.6.0-24"]);
    assertEquals((await registry.list(never)).rejected.length, 2);
  });

  test("after close every call rejects with a registry error", async (store) => {
    store.registry.close();
    await assertRejects(() => store.registry.list(never), RegistryError);
  });
}

async function collect(
  watch: AsyncIterable<readonly LeaseEvent[]>,
  count: number,
): Promise<LeaseEvent[]> {
  const collected: LeaseEvent[] = [];
  for await (const events of watch) {
    collected.push(...events);
    if (collected.length >= count) break;
  }
  return collected;
}

function describe(event: LeaseEvent): string {
  switch (event.type) {
    case "put":
      return `put ${formatCidr(event.lease.subnet)}`;
    case "delete":
      return `delete ${formatCidr(event.subnet)}`;
    case "rejected":
      return `rejected ${event.rejected.key.split("/subnets/")[1]}`;
  }
}
