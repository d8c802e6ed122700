/**
 * Loden on a booted host, as an operator installs it.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import type { BootedHost } from "./booted_host.ts";

const PACKAGING = fromFileUrl(new URL("../../../packaging/", import.meta.url));
const PACKAGE_PLACE = "/var/cache/loden.deb";
const UNITS = "/usr/lib/systemd/system";

/** What is installed: a Debian package, or a program with the tree's units. */
export type Installable =
  | { readonly debianPackage: string }
  | { readonly program: string };

/** Installs it; nothing of it is started. Also while the host is off. */
export async function installLoden(
  host: BootedHost,
  what: Installable,
): Promise<void> {
  if ("debianPackage" in what) {
    await Deno.copyFile(what.debianPackage, `${host.root}${PACKAGE_PLACE}`);
    await host.run(["dpkg", "--install", PACKAGE_PLACE]);
    return;
  }
  await Deno.copyFile(what.program, `${host.root}/usr/bin/loden`);
  await Deno.chmod(`${host.root}/usr/bin/loden`, 0o755);
  const places = {
    "systemd/loden.service": `${UNITS}/loden.service`,
    "systemd/docker.service.d/50-loden.conf":
      `${UNITS}/docker.service.d/50-loden.conf`,
    "systemd/05-loden.network": "/usr/lib/systemd/network/05-loden.network",
  };
  for (const [file, place] of Object.entries(places)) {
    await host.writeTextFile(place, await Deno.readTextFile(PACKAGING + file));
  }
}
