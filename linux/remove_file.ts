/**
 * Removes files that {@linkcode writeFileAtomically} has written.
 *
 * @module
 */

import { resolveSafely } from "./safe_path.ts";

/**
 * Removes `path`. If it is a symbolic link through which a file is written, the
 * file goes as well, because it is the one that was written.
 */
export async function removeFile(path: string): Promise<void> {
  const { isSymlink } = await Deno.lstat(path);
  if (isSymlink) await removeTarget(path);
  await Deno.remove(path);
}

async function removeTarget(link: string): Promise<void> {
  try {
    const target = await resolveSafely(link);
    // A link to a device, such as /dev/null, leads to no file of ours.
    if ((await Deno.lstat(target)).isFile) await Deno.remove(target);
  } catch (error) {
    // It leads nowhere, or to where nothing is written.
    const isElsewhere = error instanceof Error && "code" in error &&
      (error.code === "ENOENT" || error.code === "EUNSAFE");
    if (!isElsewhere) throw error;
  }
}
