/**
 * Resolves paths so that other users of the host cannot redirect them.
 *
 * @module
 */

import { isAbsolute, join, resolve } from "node:path/posix";

const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;
const ROOT = 0;
/** As many links as the kernel follows, path_resolution(7). */
const MOST_LINKS = 40;

/** Another user decides where the path leads. */
class UnsafePathError extends Error {
  override readonly name = "UnsafePathError";
  readonly code = "EUNSAFE";
}

/**
 * The path behind all symbolic links of `path`; its end need not exist.
 *
 * In `/tmp`, say, any user can make a link through which root would overwrite a
 * file of the system (`fs.protected_symlinks` does not stop a program that reads
 * links). Three rules prevent that:
 *
 * - A symbolic link must lie in a directory that belongs to root or to this user
 *   and that others cannot write to.
 * - A directory that everyone can write to must be sticky.
 * - In such a directory, the next part of the path must belong to root or to this
 *   user.
 *
 * @throws {UnsafePathError}
 */
export async function resolveSafely(path: string): Promise<string> {
  let waiting = partsOf(resolve(Deno.cwd(), path));
  let directory = "/";
  for (let links = 0; waiting.length > 0;) {
    const [name, ...rest] = waiting;
    const next = join(directory, name!);
    const parent = await Deno.lstat(directory);
    const found = await lstatIfThere(next);
    refuseOpenDirectory(parent, directory);
    // It is made, and with it all the rest.
    if (found === undefined) return join(directory, ...waiting);
    if (!found.isSymlink) {
      if (found.isDirectory) refuseForeign(parent, found, next);
      [directory, waiting] = [next, rest];
      continue;
    }
    refuseLink(parent, next);
    if (++links > MOST_LINKS) {
      throw new UnsafePathError(`it has more than ${MOST_LINKS} links`);
    }
    const target = await Deno.readLink(next);
    if (isAbsolute(target)) directory = "/";
    waiting = [...partsOf(target), ...rest];
  }
  return directory;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function isOpen({ mode }: Deno.FileInfo): boolean {
  return ((mode ?? 0) & WRITABLE_BY_OTHERS) !== 0;
}

function isTrusted({ uid }: Deno.FileInfo): boolean {
  return uid === ROOT || uid === Deno.uid();
}

function refuseLink(parent: Deno.FileInfo, link: string): void {
  if (isTrusted(parent) && !isOpen(parent)) return;
  throw new UnsafePathError(
    `${link} is a symbolic link in a directory that other users can write to`,
  );
}

function refuseOpenDirectory(parent: Deno.FileInfo, path: string): void {
  if (!isOpen(parent) || ((parent.mode ?? 0) & STICKY) !== 0) return;
  throw new UnsafePathError(
    `every user can write to the directory ${path} and rename what is in it`,
  );
}

function refuseForeign(
  parent: Deno.FileInfo,
  found: Deno.FileInfo,
  path: string,
): void {
  if (!isOpen(parent) || isTrusted(found)) return;
  throw new UnsafePathError(
    `${path} belongs to another user, in a directory that every user can write to`,
  );
}

async function lstatIfThere(
  path: string,
): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
