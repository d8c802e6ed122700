/**
 * Whether the kernel has a module, as far as can be seen without loading it.
 *
 * @module
 */

/** Lists of a kernel's modules: those that can be loaded, and those in it. */
const LISTS = ["modules.dep", "modules.builtin"];

/**
 * @param name such as `wireguard`.
 * @param root of the file system, for tests.
 * @returns `undefined` where it cannot be seen, as in a container.
 */
export function hasKernelModule(
  name: string,
  release: string = Deno.osRelease(),
  root = "",
): boolean | undefined {
  if (exists(`${root}/sys/module/${name}`)) return true;
  const lists = LISTS.map((name) =>
    readIfThere(`${root}/lib/modules/${release}/${name}`)
  ).filter((text) => text !== undefined);
  return lists.length === 0
    ? undefined
    : lists.some((text) => new RegExp(`/${name}\\.ko\\b`).test(text));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
