/**
 * No overlay at all: the hosts of a rig route each other's containers over the
 * underlay. The upper bound of every comparison.
 *
 * @module
 */

import type { RigHost } from "./host.ts";

/** One host's part. */
export interface UnderlayNode {
  readonly host: RigHost;
  /** For {@linkcode RigHost.addContainer}. */
  readonly bip: string;
  readonly mtuBytes: number;
}

/** Routes 10.3.n.0/24 to host n, everywhere. */
export async function createUnderlayRoutes(
  hosts: readonly RigHost[],
  underlayMtuBytes = 1500,
  signal?: AbortSignal,
): Promise<UnderlayNode[]> {
  for (const host of hosts) {
    await host.namespace.ip(
      hosts.flatMap((peer, index) =>
        peer === host
          ? []
          : [`route replace 10.3.${index + 1}.0/24 via ${peer.address}`]
      ),
      signal,
    );
  }
  return hosts.map((host, index) => ({
    host,
    bip: `10.3.${index + 1}.1/24`,
    mtuBytes: underlayMtuBytes,
  }));
}
