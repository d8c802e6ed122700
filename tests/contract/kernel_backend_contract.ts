/**
 * `backend_contract.ts` for a backend on the kernel of the namespace in which the
 * tests run.
 *
 * @module
 */

import type { BackendOptions } from "../../backend/backend_descriptor.ts";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import { systemClock } from "../../linux/clock.ts";
import { WireguardKey } from "../../backend/wireguard/wireguard_key.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelWireguard } from "../../linux/netlink/kernel_wireguard.ts";
import { systemRandom } from "../../linux/random.ts";
import { runShell } from "../../linux/shell_command.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { untilOperUp } from "../support/oper_up.ts";
import { backendContract, type BackendWorld } from "./backend_contract.ts";
import {
  backendWorld,
  type Commanded,
  COMMANDS,
  createByType,
} from "./backend_worlds.ts";
import { runSync } from "./in_namespace.ts";

const ip = (line: string) => runSync("ip", line.split(" "));

/** Registers the tests. @param options with their defaults, as a config has them. */
export function kernelBackendContract(
  type: string,
  options: BackendOptions = {},
  dataPath: "ebpf" | "tun" = "ebpf",
): void {
  const name = type === "udp" ? `udp, ${dataPath},` : type;
  const open = kernelBackendWorlds(type, options, dataPath);
  backendContract(`${name} on this kernel`, type, open);
}

/** Makes hosts in this namespace, one after the other. */
export function kernelBackendWorlds(
  type: string,
  options: BackendOptions = {},
  dataPath: "ebpf" | "tun" = "ebpf",
): () => Promise<BackendWorld> {
  // As an agent makes them: once.
  const rtnetlink = new KernelRtnetlink();
  const parts = kernelParts(rtnetlink, systemClock);
  const wireguard = new KernelWireguard();
  const key = WireguardKey.make(systemRandom);
  const wireguardHost = {
    netlink: () => wireguard,
    keys: { load: () => Promise.resolve(key) },
  };
  return async () => {
    ip("link add eth0 type veth peer name far");
    setKernel();
    ip("address add 192.0.2.11/24 dev eth0");
    for (const device of ["far", "eth0"]) ip(`link set ${device} up`);
    const links = rtnetlink.links().filter(({ kind }) => kind === "veth");
    untilOperUp(rtnetlink, links.map(({ index }) => index));
    const underlayIndex = links.find((link) => link.name === "eth0")!.index;
    const commanded = type === "extension" ? await scripts() : undefined;
    const extension = {
      ...commanded?.running ?? { runShell, timeLimitMs: 20_000 },
      prepared: new Map<string, string>(),
    };
    const configured = type === "extension" ? commanded!.options : options;
    const world: BackendWorld = backendWorld({
      type,
      rtnetlink,
      underlayIndex,
      options: configured,
      hasRoutes: type !== "udp" && type !== "alloc",
      ...commanded !== undefined && { commanded },
      ...type === "wireguard" && { wireguard },
      create: () =>
        createByType(type, configured, world.context.underlay, {
          dataPath,
          extension,
          parts,
          wireguard: wireguardHost,
        }),
      async close() {
        for (const { index, loopback } of rtnetlink.links()) {
          if (!loopback) rtnetlink.deleteLink(index);
        }
        ip("route flush type unreachable");
        await commanded?.[Symbol.asyncDispose]();
      },
    });
    return world;
  };
}

/** Real commands, whose effect is files in a directory. */
async function scripts(): Promise<
  Commanded & AsyncDisposable & { readonly options: BackendOptions }
> {
  const path = await Deno.makeTempDir();
  const script = (name: string, text: string) =>
    Deno.writeTextFile(`${path}/${name}`, `#!/bin/sh -eu\n${text}\n`, {
      mode: 0o755,
    });
  await Deno.mkdir(`${path}/peers`, { mode: 0o755 });
  await script("print", 'echo "$@"');
  await script("up", 'test "$NETWORK $SUBNET" = "$*"');
  await script("add", `echo "$1 $2" >"${path}/peers/$(basename "\${1%/*}")"`);
  await script("remove", `rm "${path}/peers/$(basename "\${1%/*}")"`);
  return {
    options: Object.fromEntries(
      Object.entries(COMMANDS).map(([key, words]) => [key, `${path}/${words}`]),
    ),
    running: { runShell, timeLimitMs: 20_000 },
    subnets: () =>
      [...Deno.readDirSync(`${path}/peers`)]
        .map(({ name }) =>
          Deno.readTextFileSync(`${path}/peers/${name}`).trim()
        )
        .filter((line) => line !== "").sort(),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
