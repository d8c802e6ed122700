import { assertEquals } from "@std/assert";
import type { EtcdCluster } from "../../../../lease/etcd/cluster.ts";
import { LeaseGrants } from "../../../../lease/etcd/grants.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

/** An etcd that knows leases, and is away for its first so many answers. */
function etcd(
  keysOf: Readonly<Record<string, readonly string[]>>,
  failures = 0,
): { readonly cluster: EtcdCluster; readonly revoked: string[] } {
  const revoked: string[] = [];
  const lease = {
    leaseTimeToLive({ ID }: { ID: string }) {
      const keys = keysOf[ID];
      return Promise.resolve({ TTL: keys ? "60" : "-1", keys: keys ?? [] });
    },
    leaseRevoke({ ID }: { ID: string }) {
      revoked.push(ID);
      return Promise.resolve({});
    },
  };
  const connection = { calls: () => ({ lease }) };
  const cluster = {
    run(_call: unknown, work: (each: typeof connection) => Promise<unknown>) {
      return failures-- > 0
        ? Promise.reject(new Error("etcd is away"))
        : work(connection);
    },
  };
  return { cluster: cluster as unknown as EtcdCluster, revoked };
}

const { signal: never } = new AbortController();

Deno.test("an abandoned lease is revoked, unless something hangs on it or it is gone", async () => {
  const clock = new FakeClock();
  const grants = new LeaseGrants(clock);
  const { cluster, revoked } = etcd({ "1": [], "2": ["a key"], "4": [] });
  for (const id of ["0", "1", "2", "3", "4"]) grants.abandon(id);
  grants.sweep(cluster, never);
  await clock.settle();
  assertEquals(revoked, ["1", "4"]);
});

Deno.test("what could not be revoked is tried again, and what is abandoned meanwhile as well", async () => {
  const clock = new FakeClock();
  const grants = new LeaseGrants(clock);
  const { cluster, revoked } = etcd({ "1": [], "2": [] }, 2);
  grants.abandon("1");
  grants.sweep(cluster, never);
  await clock.settle();
  grants.abandon("2");
  assertEquals(revoked, []);
  await clock.advance(20_000);
  assertEquals(revoked, ["1", "2"]);
});

Deno.test("nothing is tried again when the registry is closed", async () => {
  const clock = new FakeClock();
  const grants = new LeaseGrants(clock);
  const closing = new AbortController();
  const { cluster, revoked } = etcd({ "1": [] }, 1);
  grants.abandon("1");
  grants.sweep(cluster, closing.signal);
  await clock.settle();
  closing.abort();
  await clock.advance(60_000);
  assertEquals(revoked, []);
});
