/**
 * Writes leases and sees how soon the kernel's routes follow them, from the
 * agent's host: `follow_routes.ts <endpoint> <prefix> <changes> <first subnet>
 * <backend type>`. Prints the milliseconds of each change.
 *
 * Each change is a new peer. From the moment before its lease is sent to etcd, the
 * kernel is asked each millisecond for the route to its subnet.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import {
  attributesOfHost,
  LeaseWriter,
} from "../../../tests/support/many_leases.ts";
import { NetlinkError } from "../../../linux/netlink/errors.ts";
import { KernelRtnetlink } from "../../../linux/netlink/kernel_rtnetlink.ts";
import { type Ipv4, parseIpv4 } from "../../../net/ipv4.ts";

const SUBNET_BYTES = 256;
const SUBNET_LENGTH = 24;
const ASK_EVERY_MS = 1;
const LONGEST_MS = 10_000;
/** Between two changes: what the agent does after one is under way or over. */
const LEAST_PAUSE_MS = 10;
const MOST_PAUSE_MS = 300;
/** Beyond the hosts that have leases already. */
const FIRST_HOST = 50_000;
const [endpoint, prefix, count, firstSubnet, backendType] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
];
const first = parseIpv4(firstSubnet)!;
const signal = AbortSignal.timeout(Number(count) * LONGEST_MS);
using writer = new LeaseWriter(endpoint, prefix);
using rtnetlink = new KernelRtnetlink();

const milliseconds: number[] = [];
for (let number = 0; number < Number(count); number++) {
  milliseconds.push(
    await measure(first + number * SUBNET_BYTES as Ipv4, number),
  );
  await delay(
    LEAST_PAUSE_MS + Math.random() * (MOST_PAUSE_MS - LEAST_PAUSE_MS),
  );
}
console.log(JSON.stringify(milliseconds));

async function measure(address: Ipv4, number: number): Promise<number> {
  const startedAtMs = performance.now();
  const written = writer.write(
    { address, prefixLength: SUBNET_LENGTH },
    attributesOfHost(FIRST_HOST + number, backendType),
    signal,
  );
  while (!isRouted(address + 2 as Ipv4)) {
    await delay(ASK_EVERY_MS);
    if (performance.now() - startedAtMs > LONGEST_MS) {
      throw new Error(`change ${number} has no route within ${LONGEST_MS} ms`);
    }
  }
  const tookMs = performance.now() - startedAtMs;
  await written;
  return tookMs;
}

/** The network's own route is `unreachable`. */
function isRouted(address: Ipv4): boolean {
  try {
    return rtnetlink.routeTo(address).gateway !== undefined;
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  }
}
