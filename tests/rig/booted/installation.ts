/**
 * Loden on a booted host, as an operator installs it.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { run } from "../../../tools/command.ts";
import { lodenBinary } from "../loden_program.ts";
import type { BootedHost } from "./booted_host.ts";

const ROOT = fromFileUrl(new URL("../../../", import.meta.url));
const PACKAGE_PLACE = "/var/cache/loden.deb";
const PROGRAM_PLACE = "/usr/bin/loden";
const UNITS = "/usr/lib/systemd/system";
/** Where hosts see this source tree, and what its Deno has downloaded. */
const SOURCE_PLACE = "/opt/loden/source";
const RUNTIME_PLACE = "/opt/loden/runtime";
const CACHE_PLACE = "/opt/loden/cache";

/** Files of `packaging/` and their places on a host. */
const PACKAGED: Readonly<Record<string, string>> = {
  "systemd/loden.service": `${UNITS}/loden.service`,
  "systemd/loden-cleanup.service": `${UNITS}/loden-cleanup.service`,
  "systemd/docker.service.d/50-loden.conf":
    `${UNITS}/docker.service.d/50-loden.conf`,
  "systemd/05-loden.network": "/usr/lib/systemd/network/05-loden.network",
};

/** A Debian package, or a program with the tree's units: a path, or `source`. */
export type Installable =
  | { readonly debianPackage: string }
  | { readonly program: string };

/** The binary that the tests are for; else the sources. */
export function whatToInstall(): { readonly program: string } {
  return { program: lodenBinary() ?? "source" };
}

/** What a host must see from the start, if `what` is to run on it. */
export async function bindsOf(what: Installable): Promise<string[]> {
  if (!("program" in what) || what.program !== "source") return [];
  const said = await run([Deno.execPath(), "info", "--json"]);
  const { denoDir } = JSON.parse(said) as { denoDir: string };
  return [
    `${ROOT}:${SOURCE_PLACE}`,
    `${Deno.execPath()}:${RUNTIME_PLACE}`,
    `${denoDir}:${CACHE_PLACE}`,
  ];
}

/**
 * Installs it. A program's units are not started, and the host may be off; what
 * a package does is its own affair, and the host must be on.
 */
export async function installLoden(
  host: BootedHost,
  what: Installable,
): Promise<void> {
  if ("debianPackage" in what) {
    await Deno.copyFile(what.debianPackage, `${host.root}${PACKAGE_PLACE}`);
    await host.run(["dpkg", "--install", PACKAGE_PLACE]);
    return;
  }
  await installProgram(host, what.program);
  for (const [file, place] of Object.entries(PACKAGED)) {
    const text = await Deno.readTextFile(`${ROOT}packaging/${file}`);
    await host.writeTextFile(place, text);
  }
}

/**
 * Puts the program where the unit looks for it, beside the old one and then in
 * its place, as packages do: the old one may be running.
 */
export async function installProgram(
  host: BootedHost,
  program: string,
): Promise<void> {
  const place = `${host.root}${PROGRAM_PLACE}`;
  const fresh = `${place}.new`;
  if (program === "source") {
    await Deno.writeTextFile(fresh, RUN_SOURCE);
  } else {
    await Deno.copyFile(program, fresh);
  }
  await Deno.chmod(fresh, 0o755);
  await Deno.rename(fresh, place);
}

const RUN_SOURCE = `#!/bin/sh
export DENO_DIR=${CACHE_PLACE} DENO_NO_UPDATE_CHECK=1
exec ${RUNTIME_PLACE} run -A --cached-only ${SOURCE_PLACE}/cli.ts "$@"
`;
