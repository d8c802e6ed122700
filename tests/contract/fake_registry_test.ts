import { FakeClock } from "../fakes/fake_clock.ts";
import { FakeEtcd, FakeRegistry } from "../fakes/fake_registry.ts";
import {
  countRegistry,
  RegistryCounts,
} from "../../agent/metrics/counting_registry.ts";
import type { LeaseRegistry } from "../../lease/registry.ts";
import { registryContract } from "./registry_contract.ts";

registryContract("fake registry", () => world());
registryContract(
  "counted registry",
  () =>
    world((registry, clock) =>
      countRegistry(registry, new RegistryCounts(clock), clock)
    ),
);

function world(
  wrap: (registry: LeaseRegistry, clock: FakeClock) => LeaseRegistry = (
    registry,
  ) => registry,
) {
  const clock = new FakeClock();
  const etcd = new FakeEtcd(clock);
  const registry = wrap(new FakeRegistry(etcd), clock);
  return Promise.resolve({
    registry,
    put: (name: string, value: string) =>
      Promise.resolve(void etcd.put(name, value)),
    delete: (name: string) => Promise.resolve(etcd.delete(name)),
    deleteConfig: () => Promise.resolve(etcd.deleteConfig()),
    value: (name: string) => Promise.resolve(etcd.value(name)),
    compact: () => Promise.resolve(etcd.compact()),
    etcdLeaseCount: () => Promise.resolve(etcd.etcdLeaseCount),
    pass: async (seconds: number) => {
      await clock.advance(seconds * 1_000);
      etcd.expire();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(registry.close()),
  });
}
