/**
 * Many hosts that join one network at the same moment, each with its own
 * connection: `join_together.ts <endpoint> <prefix> <hosts>`. Prints how long it
 * took until all held a subnet, the first time and after all were restarted.
 *
 * Throws when two hold the same one, or one comes back with another than before.
 *
 * @module
 */

import { EtcdLeaseRegistry } from "../../../lease/etcd_registry.ts";
import { LeaseKeeper } from "../../../lease/own/lease_keeper.ts";
import { systemClock } from "../../../linux/clock.ts";
import { systemRandom } from "../../../linux/random.ts";
import { type Cidr, formatCidr, parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import type { SubnetPool } from "../../../net/subnet_pool.ts";
import { attributesOfHost } from "../../../tests/support/many_leases.ts";
import type { TogetherFigures } from "../control_figures.ts";

/** flannel's usual one: 255 subnets, so that many want the same. */
const POOL: SubnetPool = {
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 24,
  first: parseIpv4("10.1.1.0")!,
  last: parseIpv4("10.1.255.0")!,
};

const [endpoint, prefix, count] = Deno.args as [string, string, string];
const hosts = Array.from({ length: Number(count) }, (_, index) => index);
const signal = AbortSignal.timeout(120_000);

const first = await joinAll(() => undefined);
const again = await joinAll((host) => first.subnets[host]!);
for (const host of hosts) {
  const [before, after] = [first.subnets[host]!, again.subnets[host]!];
  if (formatCidr(before) !== formatCidr(after)) {
    throw new Error(
      `host ${host} had ${formatCidr(before)} and has ${formatCidr(after)}`,
    );
  }
}
const times: TogetherFigures = {
  joinMs: first.milliseconds,
  rejoinMs: again.milliseconds,
};
console.log(JSON.stringify(times));

async function joinAll(former: (host: number) => Cidr | undefined) {
  using registries = new DisposableStack();
  const keepers = hosts.map((host) => {
    const registry = registries.adopt(
      new EtcdLeaseRegistry({ endpoints: [endpoint], prefix }),
      (registry) => registry.close(),
    );
    const subnet = former(host);
    return new LeaseKeeper(
      { registry, clock: systemClock, random: systemRandom },
      { previous: subnet ? [{ subnet, source: "state" }] : [] },
    );
  });
  const startedAtMs = performance.now();
  const leases = await Promise.all(
    keepers.map((keeper, host) =>
      keeper.acquire(POOL, attributesOfHost(host), signal)
    ),
  );
  const milliseconds = performance.now() - startedAtMs;
  const subnets = leases.map(({ subnet }) => subnet);
  const different = new Set(subnets.map(formatCidr)).size;
  if (different !== hosts.length) {
    throw new Error(`${hosts.length} hosts hold ${different} subnets`);
  }
  return { milliseconds, subnets };
}
