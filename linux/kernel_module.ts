/**
 * Whether the kernel has a module, as far as can be seen without loading it.
 *
 * @module
 */

import { exists, readIfThere } from "./read_if_there.ts";

/** `present`: loaded or built in; `loadable`: the kernel can load it. */
export type ModuleState = "present" | "loadable" | "absent";

/**
 * @param name such as `wireguard`.
 * @param root of the file system, for tests.
 * @returns `undefined` where it cannot be seen, as in a container.
 */
export function kernelModuleState(
  name: string,
  release: string = Deno.osRelease(),
  root = "",
): ModuleState | undefined {
  if (exists(`${root}/sys/module/${name}`)) return "present";
  const [builtIn, loadable] = ["modules.builtin", "modules.dep"].map((list) =>
    readIfThere(`${root}/lib/modules/${release}/${list}`)
  );
  const pattern = new RegExp(`/${name}\\.ko\\b`);
  if (builtIn !== undefined && pattern.test(builtIn)) return "present";
  if (loadable !== undefined && pattern.test(loadable)) return "loadable";
  return builtIn === undefined && loadable === undefined ? undefined : "absent";
}

/**
 * Whether the kernel has a module.
 *
 * @returns `undefined` where it cannot be seen, as in a container.
 */
export function hasKernelModule(
  name: string,
  release?: string,
  root?: string,
): boolean | undefined {
  const state = kernelModuleState(name, release, root);
  return state && state !== "absent";
}

/** Whether using what a module has can load the module. */
export function canLoadModules(root = ""): boolean {
  return exists(`${root}/proc/modules`) &&
    readIfThere(`${root}/proc/sys/kernel/modules_disabled`)?.trim() !== "1";
}

/** What to do where a module is missing. */
export function moduleHint(name: string): string {
  return `modprobe ${name}; if there is no such module, install the ` +
    "distribution's full kernel package";
}
