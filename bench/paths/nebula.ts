/**
 * nebula, with its default cipher (AES-256-GCM).
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import {
  containerSubnet,
  DATAGRAM_BYTES,
  type PeerProgram,
} from "./peer_network.ts";

const DEVICE = "nebula1";
const PORT = 4242;
/** Its header and the cipher's tag. */
const OVERHEAD_BYTES = 32;
const MTU_BYTES = DATAGRAM_BYTES - OVERHEAD_BYTES;

/** See the module. */
export const NEBULA: PeerProgram = {
  name: "nebula",
  device: DEVICE,
  mtuBytes: MTU_BYTES,
  async commands(rig, signal) {
    const authority = `${rig.directory}/nebula-ca`;
    await run([
      "nebula-cert",
      "ca",
      "-name",
      "bench",
      "-out-crt",
      `${authority}.crt`,
      "-out-key",
      `${authority}.key`,
    ], { signal });
    return await Promise.all(rig.hosts.map(async (host, index) => {
      const certificate = `${host.directory}/nebula`;
      await run([
        "nebula-cert",
        "sign",
        "-ca-crt",
        `${authority}.crt`,
        "-ca-key",
        `${authority}.key`,
        "-name",
        `host${index + 1}`,
        "-ip",
        `${overlayAddress(index)}/24`,
        "-subnets",
        containerSubnet(index),
        "-out-crt",
        `${certificate}.crt`,
        "-out-key",
        `${certificate}.key`,
      ], { signal });
      const file = `${host.directory}/nebula.yml`;
      await Deno.writeTextFile(
        file,
        JSON.stringify(config(rig, index, authority, certificate)),
      );
      return ["nebula", "-config", file];
    }));
  },
};

function overlayAddress(index: number): string {
  return `10.5.0.${index + 1}`;
}

/** JSON is YAML. */
function config(
  rig: Rig,
  index: number,
  authority: string,
  certificate: string,
): unknown {
  const other = 1 - index;
  const anything = { port: "any", proto: "any", host: "any" };
  return {
    pki: {
      ca: `${authority}.crt`,
      cert: `${certificate}.crt`,
      key: `${certificate}.key`,
    },
    static_host_map: {
      [overlayAddress(other)]: [`${rig.host(other).address}:${PORT}`],
    },
    lighthouse: { am_lighthouse: false, hosts: [] },
    listen: { host: rig.host(index).address, port: PORT },
    tun: {
      dev: DEVICE,
      mtu: MTU_BYTES,
      unsafe_routes: [{
        route: containerSubnet(other),
        via: overlayAddress(other),
      }],
    },
    firewall: {
      outbound: [anything],
      // Without the network it would be for this host alone.
      inbound: [{ ...anything, local_cidr: containerSubnet(index) }],
    },
  };
}
