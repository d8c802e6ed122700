/**
 * WireGuard in user space.
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import type { RigHost } from "../../tests/rig/host.ts";
import {
  containerSubnet,
  DATAGRAM_BYTES,
  type PeerProgram,
} from "./peer_network.ts";

const DEVICE = "wg0";
const PORT = 51_820;
/** Header and authenticator of a data message: WireGuard's paper, 5.4.6. */
const OVERHEAD_BYTES = 32;

/** See the module. */
export const WIREGUARD_GO: PeerProgram = {
  name: "wireguard-go",
  device: DEVICE,
  mtuBytes: DATAGRAM_BYTES - OVERHEAD_BYTES,
  async commands(rig, signal) {
    return await Promise.all(rig.hosts.map(async (host) => {
      await makeKeys(host, signal);
      await Deno.mkdir(runDirectory(host));
      return withOwnRun(host, ["wireguard-go", "--foreground", DEVICE]);
    }));
  },
  async configure(rig, index, signal) {
    const host = rig.host(index);
    const other = rig.host(1 - index);
    await host.namespace.run(
      withOwnRun(host, [
        "wg",
        "set",
        DEVICE,
        "private-key",
        secretFile(host),
        "listen-port",
        String(PORT),
        "peer",
        await Deno.readTextFile(publicFile(other)),
        "endpoint",
        `${other.address}:${PORT}`,
        "allowed-ips",
        containerSubnet(1 - index),
      ]),
      { signal },
    );
  },
};

async function makeKeys(host: RigHost, signal: AbortSignal): Promise<void> {
  const secret = await run(["wg", "genkey"], { signal });
  await Deno.writeTextFile(secretFile(host), secret, { mode: 0o600 });
  const publicKey = await run(["wg", "pubkey"], { stdin: secret, signal });
  await Deno.writeTextFile(publicFile(host), publicKey.trim());
}

function secretFile(host: RigHost): string {
  return `${host.directory}/wg-secret`;
}

function publicFile(host: RigHost): string {
  return `${host.directory}/wg-public`;
}

function runDirectory(host: RigHost): string {
  return `${host.directory}/run`;
}

/** Its control socket, by the device's name, is in /run, which all hosts share. */
function withOwnRun(host: RigHost, command: readonly string[]): string[] {
  const script = 'mount --make-rprivate /; mount --bind "$1" /run; ' +
    'shift; exec "$@"';
  return [
    "unshare",
    "--mount",
    "sh",
    "-ec",
    script,
    "sh",
    runDirectory(host),
    ...command,
  ];
}
