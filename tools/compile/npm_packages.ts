/**
 * The npm packages that the program imports, in a `node_modules` of their own.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import { download } from "../download.ts";
import type { SourceFile } from "../check_imports.ts";

/** The parts of `deno.json` that matter here. */
export interface ProjectFile {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Import map: a name to `npm:PACKAGE@VERSION[/PATH]`. */
  readonly imports: Readonly<Record<string, string>>;
}

/** The parts of `deno.lock` that matter here. */
interface LockFile {
  readonly npm?: Readonly<Record<string, { readonly integrity?: string }>>;
}

/** A package would not be the one that `deno.lock` pins. `code` is `compile.lock`. */
export class LockedPackageError extends LodenError {
  constructor(name: string) {
    super(
      "compile.lock",
      `Cannot compile: npm packages must be those of deno.lock: ${name} is not`,
      { hint: "run deno install and commit deno.lock" },
    );
  }
}

/** The entries of the import map that `sources` name. */
export function importsUsedBy(
  sources: readonly SourceFile[],
  imports: ProjectFile["imports"],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(imports).filter(([name]) =>
      sources.some(({ text }) =>
        text.includes(`"${name}"`) || text.includes(`"${name}/`)
      )
    ),
  );
}

/**
 * What each name means below `node_modules`, where it is not its own:
 * `@std/yaml` is `deno-std/yaml/mod.js`.
 */
export function aliasesOf(
  imports: Readonly<Record<string, string>>,
): Record<string, string> {
  const aliases: Record<string, string> = {};
  for (const [name, target] of Object.entries(imports)) {
    const match = /^npm:((?:@[^/]+\/)?[^@/]+)(?:@[^/]+)?(\/.+)?$/.exec(target);
    if (match === null) {
      throw new TypeError(
        `Cannot bundle ${name}: it must be of npm: ${target}`,
      );
    }
    const path = `${match[1]}${match[2] ?? ""}`;
    if (path !== name) aliases[name] = path;
  }
  return aliases;
}

/**
 * Puts the packages into `directory/node_modules`, in the versions of `lockFile`.
 *
 * @throws {LockedPackageError}
 */
export async function installPackages(
  directory: string,
  imports: Readonly<Record<string, string>>,
  lockFile: string,
  signal: AbortSignal,
): Promise<void> {
  await Deno.writeTextFile(
    `${directory}/deno.json`,
    JSON.stringify({ nodeModulesDir: "auto", imports }),
  );
  const lock = `${directory}/deno.lock`;
  await Deno.copyFile(lockFile, lock);
  await download(
    [Deno.execPath(), "install", "--quiet", `--config=${directory}/deno.json`],
    { signal },
  );
  const pinned = await readLock(lockFile);
  for (const [name, { integrity }] of Object.entries(await readLock(lock))) {
    if (pinned[name]?.integrity !== integrity) {
      throw new LockedPackageError(name);
    }
  }
}

async function readLock(
  path: string,
): Promise<NonNullable<LockFile["npm"]>> {
  return (JSON.parse(await Deno.readTextFile(path)) as LockFile).npm ?? {};
}
