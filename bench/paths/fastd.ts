/**
 * fastd without encryption: its method `null`.
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import { DATAGRAM_BYTES, type PeerProgram } from "./peer_network.ts";

const DEVICE = "fastd0";
const PORT = 10_000;
/** Method `null` puts one byte before a packet: fastd's manual, "MTU". */
const MTU_BYTES = DATAGRAM_BYTES - 1;

/** See the module. */
export const FASTD: PeerProgram = {
  name: "fastd",
  device: DEVICE,
  mtuBytes: MTU_BYTES,
  async commands(rig, signal) {
    // Its handshake has keys, whatever it does with packets.
    const secrets: string[] = [];
    const keys: string[] = [];
    for (const host of rig.hosts) {
      const secret = await run(
        ["fastd", "--generate-key", "--machine-readable"],
        { signal },
      );
      const secretFile = `${host.directory}/fastd-secret`;
      await Deno.writeTextFile(secretFile, `secret "${secret.trim()}";\n`);
      secrets.push(secretFile);
      keys.push(
        (await run([
          "fastd",
          "--config",
          secretFile,
          "--show-key",
          "--machine-readable",
        ], { signal })).trim(),
      );
    }
    return await Promise.all(rig.hosts.map(async (host, index) => {
      const file = `${host.directory}/fastd.conf`;
      await Deno.writeTextFile(file, config(rig, index, secrets, keys));
      return ["fastd", "--config", file];
    }));
  },
};

function config(
  rig: Rig,
  index: number,
  secrets: readonly string[],
  keys: readonly string[],
): string {
  const other = 1 - index;
  return `
include "${secrets[index]}";
mode tun;
interface "${DEVICE}";
mtu ${MTU_BYTES};
method "null";
bind ${rig.host(index).address}:${PORT};
peer "other" {
  key "${keys[other]}";
  remote ${rig.host(other).address}:${PORT};
}
`;
}
