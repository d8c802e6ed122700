/**
 * Taking rigs down, from nothing but their names: for the owner, for a signal
 * handler, and for whoever comes after an owner that was killed.
 *
 * Everything here is synchronous, see {@linkcode attemptSync}.
 *
 * @module
 */

import { destroyControlGroups } from "./booted/control_group.ts";
import { attemptSync } from "../../tools/command.ts";
import { belongsTo, isLeftover, isOwn } from "./names.ts";

const NAMESPACE_DIRECTORY = "/run/netns";
const NSPAWN_DIRECTORIES = [
  "/run/systemd/nspawn/propagate",
  "/run/systemd/nspawn/unix-export",
];

/** Where rigs keep their files. */
export function temporaryDirectory(): string {
  return Deno.env.get("TMPDIR") ?? "/tmp";
}

/** Removes the rig `name`: its processes, namespaces, mounts and files. */
export function destroyRig(name: string): void {
  destroy((part) => belongsTo(part, name));
}

/**
 * Removes what rigs of processes that are gone have left.
 * @returns the names of what was found.
 */
export function destroyLeftovers(): string[] {
  // Not the function itself: `filter` would give it an index as well.
  return destroy((name) => isLeftover(name));
}

/** Removes all rigs of this process: when it ends in the middle of something. */
export function destroyOwn(): string[] {
  return destroy((name) => isOwn(name));
}

/** The names of namespaces for which `wanted` holds. */
export function namespaceNames(wanted: (name: string) => boolean): string[] {
  return entries(NAMESPACE_DIRECTORY).filter(wanted);
}

function destroy(wanted: (name: string) => boolean): string[] {
  const namespaces = namespaceNames(wanted);
  destroyControlGroups(wanted);
  for (const name of namespaces) killProcesses(name);
  for (const name of namespaces) attemptSync(["ip", "netns", "delete", name]);
  const directories = entries(temporaryDirectory()).filter(wanted);
  for (const directory of directories) {
    unmountBelow(`${temporaryDirectory()}/${directory}`);
    remove(`${temporaryDirectory()}/${directory}`);
  }
  // What systemd-nspawn leaves when it was killed.
  for (const parent of NSPAWN_DIRECTORIES) {
    for (const name of entries(parent).filter(wanted)) {
      attemptSync(["umount", "--lazy", `${parent}/${name}`]);
      remove(`${parent}/${name}`);
    }
  }
  return [...new Set([...namespaces, ...directories])];
}

/** Another process may remove the same leftovers at the same time. */
function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The last mounted first: later mounts may lie in earlier ones. */
function unmountBelow(directory: string): void {
  const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.reverse()) attemptSync(["umount", "--lazy", path]);
}

function killProcesses(namespace: string): void {
  const { stdout } = attemptSync(["ip", "netns", "pids", namespace]);
  for (const pid of stdout.split("\n").filter((line) => line !== "")) {
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function entries(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
