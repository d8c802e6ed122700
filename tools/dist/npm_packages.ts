/**
 * The npm packages that are inside the binary: what the product's modules
 * import, and what these depend on. The tests' and tools' own are not.
 *
 * @module
 */

import { DistError } from "./errors.ts";

/** One package, as installed. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of the published archive, as `deno.lock` has it (base64, 64 bytes). */
  readonly sha512: string;
  /** Keys, `NAME@VERSION`, of what it depends on. */
  readonly dependencies: readonly string[];
  /** Its directory in Deno's cache. */
  readonly directory: string;
}

/** The part of `deno info --json` that is read here. */
export interface ModuleGraph {
  readonly modules: readonly { readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly version: string;
      readonly dependencies: readonly string[];
      readonly localPath: string;
    }>
  >;
}

/** The part of `deno.lock` that is read here. */
export interface LockFile {
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

/**
 * Sorted by key, by which {@linkcode NpmPackage.dependencies} names them.
 *
 * @throws {DistError} `dist.lock` when a package is not in the lock file.
 */
export function embeddedPackages(
  { modules, npmPackages }: ModuleGraph,
  lock: LockFile,
): Map<string, NpmPackage> {
  const found = new Map<string, NpmPackage>();
  const wanted = modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  for (let key = wanted.pop(); key !== undefined; key = wanted.pop()) {
    if (found.has(key)) continue;
    const node = npmPackages[key];
    const integrity = lock.npm[key]?.integrity;
    if (node === undefined || !integrity?.startsWith("sha512-")) {
      throw new DistError(
        "dist.lock",
        `Cannot say what is in the binary: ${key} must be in deno.lock with ` +
          `its sha512: current value is ${integrity ?? "nothing"}`,
      );
    }
    const { dependencies, localPath, name, version } = node;
    found.set(key, {
      name,
      version,
      sha512: integrity.slice("sha512-".length),
      dependencies,
      directory: localPath,
    });
    wanted.push(...dependencies);
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}
