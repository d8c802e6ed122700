import { FakeClock } from "../fakes/fake_clock.ts";
import { FakeEtcd, FakeRegistry } from "../fakes/fake_registry.ts";
import { registryContract } from "./registry_contract.ts";

registryContract("fake registry", () => {
  const clock = new FakeClock();
  const etcd = new FakeEtcd(clock);
  const registry = new FakeRegistry(etcd);
  return Promise.resolve({
    registry,
    put: (name, value) => Promise.resolve(void etcd.put(name, value)),
    delete: (name) => Promise.resolve(etcd.delete(name)),
    deleteConfig: () => Promise.resolve(etcd.deleteConfig()),
    value: (name) => Promise.resolve(etcd.value(name)),
    compact: () => Promise.resolve(etcd.compact()),
    etcdLeaseCount: () => Promise.resolve(etcd.etcdLeaseCount),
    pass: async (seconds) => {
      await clock.advance(seconds * 1_000);
      etcd.expire();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(registry.close()),
  });
});
