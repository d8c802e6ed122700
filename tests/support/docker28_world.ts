/**
 * What a container of a real Docker 28 lets in, seen from outside.
 *
 * @module
 */

import type { Container } from "../rig/container.ts";
import { isServed, PUBLISHED, UNPUBLISHED_PORT } from "../rig/docker28.ts";
import type { RigHost } from "../rig/host.ts";
import type { NetNamespace } from "../rig/namespace.ts";

/** A host with a container on it. */
export interface DockerMember {
  readonly host: RigHost;
  readonly container: Container;
  /** `10.1.5.0/24`. */
  readonly subnet: string;
}

/** Which ports of a container answer, at its own address and at its host's. */
export async function reach(
  from: NetNamespace,
  { container, host }: DockerMember,
) {
  const [published, unpublished, byHost] = await Promise.all([
    isServed(from, container.address, PUBLISHED.port),
    isServed(from, container.address, UNPUBLISHED_PORT),
    isServed(from, host.address, PUBLISHED.hostPort),
  ]);
  return { published, unpublished, byHost };
}

/**
 * How many of three pings arrive at a container, from an address that the sender
 * pretends to have. An answer would go to the address's owner.
 */
export async function arriving(
  from: NetNamespace,
  { container }: DockerMember,
  source?: string,
): Promise<number> {
  const before = await echoRequests(container);
  if (source) await from.ip([`address add ${source}/32 dev lo`]);
  const pretended = source ? ["-I", source] : [];
  await from.attempt(
    ["ping", "-n", "-c3", "-i0.1", "-W1", ...pretended, container.address],
  );
  if (source) await from.ip([`address delete ${source}/32 dev lo`]);
  return await echoRequests(container) - before;
}

async function echoRequests({ namespace }: Container): Promise<number> {
  const text = await namespace.run(["cat", "/proc/net/snmp"]);
  const [names, values] = text.split("\n")
    .filter((line) => line.startsWith("Icmp: "))
    .map((line) => line.split(" "));
  const value = values?.[names?.indexOf("InEchos") ?? -1];
  if (value === undefined) throw new Error(`Cannot read counters: ${text}`);
  return Number(value);
}

/** An address that the Network has and no host. */
export const NO_HOSTS = "10.1.255.77";

/** Another address of a container's subnet. */
export function neighbourOf({ address }: Container): string {
  return address.replace(/\d+$/, "77");
}
