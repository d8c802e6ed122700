/**
 * What the programs beside Loden have in common: a TUN device on each host, and
 * the other host's containers behind it.
 *
 * @module
 */

import { Daemon } from "../../tests/rig/daemon.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import { addContainers } from "./containers.ts";
import { setFirewallRules } from "./firewall_rules.ts";
import { SimplePath } from "./measured_path.ts";
import type { PathName } from "./path_names.ts";

/** The whole overlay. */
const NETWORK = "10.4.0.0/16";
const DEVICE_TIMEOUT_MS = 10_000;

/** The underlay's MTU less an IPv4 and a UDP header. */
export const DATAGRAM_BYTES = 1500 - 20 - 8;

/** The containers of the host number `index`, from 0. */
export function containerSubnet(index: number): string {
  return `10.4.${index + 1}.0/24`;
}

/** What is special about a program. */
export interface PeerProgram {
  readonly name: PathName;
  /** Of its TUN device. */
  readonly device: string;
  readonly mtuBytes: number;
  /** Makes keys and files; gives the command line for each host. */
  commands(rig: Rig, signal: AbortSignal): Promise<readonly string[][]>;
  /** Done for each host once the devices are there. */
  configure?(rig: Rig, index: number, signal: AbortSignal): Promise<void>;
}

/** Runs the program on both hosts and routes the containers through it. */
export async function createPeerPath(
  program: PeerProgram,
  rig: Rig,
  signal: AbortSignal,
): Promise<SimplePath> {
  const { device, mtuBytes, name } = program;
  const commands = await program.commands(rig, signal);
  const processes: number[][] = [];
  for (const [index, host] of rig.hosts.entries()) {
    // The rig's end is its end too.
    const daemon = new Daemon({
      name,
      command: [...host.namespace.commandPrefix, ...commands[index]!],
      logFile: `${host.directory}/${name}.log`,
    });
    processes.push([daemon.pid]);
    await daemon.until(
      `${device} of ${name}`,
      async () => {
        const { exitCode } = await host.namespace.attempt(
          ["ip", "link", "show", device],
        );
        return exitCode === 0;
      },
      DEVICE_TIMEOUT_MS,
      signal,
    );
  }
  for (const [index, host] of rig.hosts.entries()) {
    await program.configure?.(rig, index, signal);
    await host.namespace.ip([
      `link set ${device} mtu ${mtuBytes} up`,
      ...rig.hosts.flatMap((peer, peerIndex) =>
        peer === host
          ? []
          : [`route replace ${containerSubnet(peerIndex)} dev ${device}`]
      ),
    ], signal);
  }
  const nodes = rig.hosts.map((host, index) => ({
    host,
    bip: containerSubnet(index).replace(".0/", ".1/"),
    mtuBytes,
  }));
  for (const node of nodes) await setFirewallRules(node, NETWORK, signal);
  const link = await addContainers(rig, nodes, signal);
  return new SimplePath(name, rig, link, processes);
}
