/**
 * A container: a namespace behind a bridge of its host, as Docker makes it from
 * `--bip` and `--mtu`.
 *
 * @module
 */

import type { NetNamespace } from "./namespace.ts";

/** What Docker is told about its bridge. */
export interface BridgeOptions {
  /** Address and prefix length of the bridge, e.g. `10.1.5.1/24`. */
  readonly bip: string;
  /** Bytes of the largest packet. */
  readonly mtuBytes: number;
  /** `docker0` by default. */
  readonly name?: string;
}

/** A namespace with one address on its host's bridge. */
export interface Container {
  readonly namespace: NetNamespace;
  /** Dotted quad, the bridge's address plus the container's number. */
  readonly address: string;
  readonly mtuBytes: number;
}

/** Docker's bridges have one of their own too, whatever ports they get. */
const BRIDGE_MAC = "02:42:c0:00:02:01";

/** Makes the bridge when the host has none of this name. */
export async function ensureBridge(
  host: NetNamespace,
  options: BridgeOptions,
  signal?: AbortSignal,
): Promise<string> {
  const name = options.name ?? "docker0";
  const there = await host.attempt(["ip", "link", "show", name]);
  if (there.exitCode !== 0) {
    await host.ip([
      `link add ${name} address ${BRIDGE_MAC} mtu ${options.mtuBytes} type bridge`,
      `address add ${options.bip} dev ${name}`,
      `link set ${name} up`,
    ], signal);
  }
  return name;
}

/** Puts a fresh namespace on a bridge. `number` is 1 for the first on it. */
export async function attachContainer(
  host: NetNamespace,
  namespace: NetNamespace,
  number: number,
  options: BridgeOptions,
  signal?: AbortSignal,
): Promise<Container> {
  const bridge = await ensureBridge(host, options, signal);
  const [gateway, prefixLength] = options.bip.split("/") as [string, string];
  const [a, b, c, d] = gateway.split(".") as [string, string, string, string];
  const address = `${a}.${b}.${c}.${Number(d) + number}`;
  const { mtuBytes } = options;
  const port = `${bridge}.${number}`;
  // Of a former container: the kernel takes down a namespace when it has time.
  await host.attempt(["ip", "link", "delete", port]);
  await host.ip([
    `link add ${port} mtu ${mtuBytes} type veth ` +
    `peer name eth0 mtu ${mtuBytes} netns ${namespace.name}`,
    `link set ${port} master ${bridge} up`,
  ], signal);
  await namespace.ip([
    `address add ${address}/${prefixLength} dev eth0`,
    "link set eth0 up",
    `route add default via ${gateway}`,
  ], signal);
  return { namespace, address, mtuBytes };
}
