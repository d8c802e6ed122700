/**
 * Writes leases and sees how soon packets follow them, from the agent's host:
 * `follow_changes.ts <endpoint> <prefix> <changes> <first subnet> <address>
 * <other address>`. Prints the milliseconds of each change.
 *
 * Changes are a new peer and the move of that one to the other address, in turns.
 * From the moment before a lease is sent to etcd, a packet leaves for its subnet
 * each millisecond; the first that `overlay_echo.ts` sends back from the lease's
 * address ends the time. So all is in it: etcd, the watch, the agent, the data
 * path, and the packet's way.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { delay } from "@std/async/delay";
import {
  attributesOfHost,
  LeaseWriter,
} from "../../../tests/support/many_leases.ts";
import { formatIpv4, type Ipv4, parseIpv4 } from "../../../net/ipv4.ts";

const SUBNET_BYTES = 256;
const SUBNET_LENGTH = 24;
const PACKET_EVERY_MS = 1;
const PORT = 9;
const LONGEST_MS = 10_000;
/** Between two changes: what the agent does after one is under way or over. */
const LEAST_PAUSE_MS = 10;
const MOST_PAUSE_MS = 300;
const [endpoint, prefix, count, firstSubnet, ...addresses] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const first = parseIpv4(firstSubnet)!;
const signal = AbortSignal.timeout(Number(count) * LONGEST_MS);
using writer = new LeaseWriter(endpoint, prefix);
const socket = createSocket("udp4");
let awaited = { number: -1, from: "", onArrival: () => {} };
socket.on("message", (payload, { address }) => {
  if (payload.readUInt16BE() !== awaited.number) return;
  if (address === awaited.from) awaited.onArrival();
});

const milliseconds: number[] = [];
for (let number = 0; number < Number(count); number++) {
  const subnet = first + (number >> 1) * SUBNET_BYTES as Ipv4;
  milliseconds.push(await measure(number, subnet, addresses[number % 2]!));
  await delay(
    LEAST_PAUSE_MS + Math.random() * (MOST_PAUSE_MS - LEAST_PAUSE_MS),
  );
}
socket.close();
console.log(JSON.stringify(milliseconds));

async function measure(
  number: number,
  subnet: Ipv4,
  address: string,
): Promise<number> {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  let arrivedAtMs: number | undefined;
  awaited = {
    number,
    from: address,
    onArrival: () => {
      arrivedAtMs ??= performance.now();
      resolve();
    },
  };
  const startedAtMs = performance.now();
  const written = writer.write(
    { address: subnet, prefixLength: SUBNET_LENGTH },
    {
      ...attributesOfHost(number >> 1),
      publicIp: parseIpv4(address)!,
    },
    signal,
  );
  while (arrivedAtMs === undefined) {
    const refusal = await send(number, subnet);
    await Promise.race([arrived, delay(PACKET_EVERY_MS)]);
    if (performance.now() - startedAtMs > LONGEST_MS) {
      throw new Error(
        `change ${number} did not reach the data path within ${LONGEST_MS} ms`,
        { cause: refusal },
      );
    }
  }
  await written;
  return arrivedAtMs - startedAtMs;
}

/** Why it was not sent: the host's own routing refuses what no peer has. */
function send(number: number, subnet: Ipv4): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const address = formatIpv4(subnet + 2 as Ipv4);
  socket.send(Uint8Array.of(number >> 8, number), PORT, address, resolve);
  return promise;
}
