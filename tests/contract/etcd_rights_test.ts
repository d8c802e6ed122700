/**
 * What an account of a host must be allowed in etcd, and what it need not be.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RegistryError } from "../../lease/errors.ts";
import { EtcdLeaseRegistry } from "../../lease/etcd_registry.ts";
import { LeaseKeeper } from "../../lease/own/lease_keeper.ts";
import { systemClock } from "../../linux/clock.ts";
import { systemRandom } from "../../linux/random.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { hostIdOf } from "../support/host_ids.ts";

const PREFIX = "/coreos.com/network";
const never = new AbortController().signal;
const CONFIG = '{"Network":"10.1.0.0/16"}';

/** The commands of docs/lease.md, "Rights in etcd". */
const RIGHTS = {
  config: ["read", `${PREFIX}/config`],
  leases: ["readwrite", "--prefix", `${PREFIX}/subnets/`],
  liveness: ["readwrite", "--prefix", `${PREFIX}/loden/`],
} as const;

/** An etcd with access control, and a host's account with these rights. */
async function prepare(
  etcd: EtcdServer,
  rights: readonly (keyof typeof RIGHTS)[],
): Promise<EtcdLeaseRegistry & Disposable> {
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  await etcd.ctl("role", "add", "loden-host");
  for (const right of rights) {
    await etcd.ctl(
      ...["role", "grant-permission", "loden-host"],
      ...RIGHTS[right],
    );
  }
  await etcd.ctl("user", "add", "host:secret");
  await etcd.ctl("user", "grant-role", "host", "loden-host");
  await etcd.ctl("user", "add", "root:the root password");
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("auth", "enable");
  etcd.user = "root:the root password";
  const registry = new EtcdLeaseRegistry({
    endpoints: [etcd.endpoint],
    prefix: PREFIX,
    deadlineMs: 3_000,
    username: "host",
    password: "secret",
  });
  return Object.assign(registry, { [Symbol.dispose]: () => registry.close() });
}

async function failureOf(call: Promise<unknown>): Promise<RegistryError> {
  const error = await call.then(() => undefined, (error) => error);
  if (error instanceof RegistryError) return error;
  throw new Error(`it did not fail as it should: ${error}`);
}

const attributes = {
  publicIp: parseIpv4("198.51.100.1")!,
  backendType: "udp",
  hostId: hostIdOf(1),
};
const subnet = parseCidr("10.1.5.0/24")!;

Deno.test("a host's role is enough for all that an agent does, and cannot write the config", async () => {
  await using etcd = await startEtcd();
  using registry = await prepare(etcd, ["config", "leases", "liveness"]);
  assertEquals((await registry.readConfig(never))?.text, CONFIG);
  for await (const config of registry.watchConfig(never)) {
    assertEquals(config?.text, CONFIG);
    break;
  }
  const keeper = new LeaseKeeper({
    registry,
    clock: systemClock,
    random: systemRandom,
  });
  const { subnet } = await keeper.acquire(
    {
      network: parseCidr("10.1.0.0/16")!,
      subnetLength: 24,
      first: parseIpv4("10.1.1.0")!,
      last: parseIpv4("10.1.255.0")!,
    },
    attributes,
    never,
  );
  const { lease } = await registry.get(subnet, never);
  const renewed = await registry.renew(lease!, attributes, 600, never);
  assert((await registry.remainingSeconds(renewed!, never))! > 500);
  const { revision } = await registry.list(never);
  const answering = new AbortController();
  const answers = registry.answerFor(hostIdOf(2), answering.signal);
  answers.catch(() => {});
  assertEquals(await registry.isAlive(hostIdOf(2), 10_000, never), true);
  answering.abort();
  assertEquals(await registry.remove(renewed!, never), true);
  for await (const [change] of registry.watch(revision, never)) {
    assertEquals(change?.type, "delete");
    break;
  }

  const error = await failureOf(registry.writeConfig("{}", undefined, never));
  assertEquals(error.fault, "permission");
  assertStringIncludes(
    error.hint!,
    `etcdctl role grant-permission ROLE readwrite ${PREFIX}/config`,
  );
});

Deno.test("with fewer rights the error names the command that grants the missing one", async () => {
  await using etcd = await startEtcd();
  using registry = await prepare(etcd, []);
  const cases = [
    [() => registry.readConfig(never), `read ${PREFIX}/config`],
    [() => registry.list(never), `read --prefix ${PREFIX}/subnets/`],
    [
      () => registry.create(subnet, attributes, 60, never),
      `readwrite --prefix ${PREFIX}/subnets/`,
    ],
    [
      () => registry.isAlive(hostIdOf(2), 100, never),
      `readwrite --prefix ${PREFIX}/loden/`,
    ],
    [
      () => registry.answerFor(hostIdOf(1), never),
      `readwrite --prefix ${PREFIX}/loden/`,
    ],
  ] as const;
  for (const [call, words] of cases) {
    const { fault, hint } = await failureOf(call());
    assertEquals(fault, "permission");
    assertStringIncludes(
      hint!,
      `etcdctl role grant-permission ROLE ${words}`,
    );
  }
});
