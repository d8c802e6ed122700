import { EtcdLeaseRegistry } from "../../lease/etcd_registry.ts";
import { systemClock } from "../../linux/clock.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { registryContract } from "./registry_contract.ts";

// One server for all tests of this file; each test has a prefix of its own.
let server: EtcdServer | undefined;
let tests = 0;

Deno.test.beforeAll(async () => {
  server = await startEtcd();
});
Deno.test.afterAll(() => server?.stop());

registryContract("etcd registry", async () => {
  const prefix = `/test-${++tests}/network`;
  const etcd = server!;
  const key = (name: string) => `${prefix}/subnets/${name}`;
  const registry = new EtcdLeaseRegistry({
    endpoints: [etcd.endpoint],
    prefix,
    // So that listings of a few leases have several pages.
    pageKeys: 2,
  });
  const before = await etcdLeaseCount(etcd);
  return {
    registry,
    put: async (name, value) => void await etcd.ctl("put", key(name), value),
    delete: async (name) => void await etcd.ctl("del", key(name)),
    deleteConfig: async () => void await etcd.ctl("del", `${prefix}/config`),
    value: async (name) => {
      const text = await etcd.ctl("get", "--print-value-only", key(name));
      return text === "" ? undefined : text.replace(/\n$/, "");
    },
    compact: async () => {
      const status = JSON.parse(
        await etcd.ctl("endpoint", "status", "--write-out=json"),
      );
      await etcd.ctl("compact", String(status[0].Status.header.revision));
    },
    etcdLeaseCount: async () => await etcdLeaseCount(etcd) - before,
    pass: (seconds) => systemClock.sleep(seconds * 1_000),
    [Symbol.asyncDispose]: () => Promise.resolve(registry.close()),
  };
});

async function etcdLeaseCount(etcd: EtcdServer): Promise<number> {
  const list = await etcd.ctl("lease", "list", "--write-out=json");
  return JSON.parse(list).leases?.length ?? 0;
}
