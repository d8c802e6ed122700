/**
 * Writes files that other programs may read at the same time.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { basename, dirname, join } from "node:path/posix";
import { FileWriteError } from "./file_errors.ts";
import { systemRandom } from "./random.ts";
import { resolveSafely } from "./safe_path.ts";

/** Options of {@linkcode writeFileAtomically}. */
export interface AtomicFileOptions {
  /** Permission bits of a new file, whatever the umask. */
  readonly mode: number;
  /**
   * Whether a file of this user that is there already keeps its own permission
   * bits, as by default.
   */
  readonly keepMode?: boolean;
  /** The same for its directory, if it has to be created; 0755 by default. */
  readonly directoryMode?: number;
  /** User and group of the file; by default this process's. */
  readonly owner?: { readonly uid: number; readonly gid: number | null };
}

/**
 * Writes `content` (text as UTF-8) to `path` so that a reader sees the old or
 * the new content, never a part, even after a power failure: a temporary file
 * in the same directory, fsync, rename, fsync of the directory (compat 4). Until
 * the temporary file is complete, only this user can read it.
 *
 * Missing directories are created, those above the file's own with mode 0755. A
 * symbolic link is followed only if {@linkcode resolveSafely} allows it; the
 * rename follows none. A file that already holds exactly `content` is left
 * alone, including its time stamps, so that a path unit that watches it
 * triggers only on a change. A file of another user is always replaced, because
 * its owner could change it later.
 *
 * @throws {FileWriteError} naming the path and the reason; nothing is left
 * behind and the previous content stays.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  options: AtomicFileOptions,
): Promise<void> {
  try {
    const target = await resolveSafely(path);
    await makeDirectories(dirname(target), options.directoryMode);
    const present = await lstatIfPresent(target);
    if (present && !present.isFile) throw new NotRegularFileError(present);
    const bytes = typeof content === "string"
      ? new TextEncoder().encode(content)
      : content;
    const mode = modeOf(options, present);
    const isRight = present !== undefined && isOurs(present) &&
      permissionsOf(present) === mode && options.owner === undefined &&
      equals(await Deno.readFile(target), bytes);
    if (!isRight) await replaceFile(target, bytes, mode, options.owner);
  } catch (error) {
    throw new FileWriteError(path, error);
  }
}

function modeOf(
  { mode, keepMode = true }: AtomicFileOptions,
  present: Deno.FileInfo | undefined,
): number {
  // Another user's choice of bits might let that user write to our file.
  return keepMode && present !== undefined && isOurs(present)
    ? permissionsOf(present)
    : mode;
}

function isOurs({ uid }: Deno.FileInfo): boolean {
  return uid === Deno.uid();
}

function permissionsOf({ mode }: Deno.FileInfo): number {
  return (mode ?? 0) & 0o7777;
}

/** A rename would replace a directory or `/dev/null` with a file. */
class NotRegularFileError extends Error {
  readonly code: string;

  constructor(present: Deno.FileInfo) {
    super(
      present.isDirectory
        ? "it is a directory"
        : "it is a device, a socket or a pipe, not a regular file",
    );
    this.code = present.isDirectory ? "EISDIR" : "ENOTREG";
  }
}

async function replaceFile(
  target: string,
  bytes: Uint8Array,
  mode: number,
  owner: AtomicFileOptions["owner"],
): Promise<void> {
  const suffix = systemRandom.bytes(8).toHex();
  const temporary = join(dirname(target), `.${basename(target)}.${suffix}`);
  try {
    {
      using file = await Deno.open(temporary, {
        write: true,
        // O_EXCL: never open an existing file or link.
        createNew: true,
        mode: mode & 0o700,
      });
      await writeAll(file, bytes);
      // The owner and the mode follow when the file is complete. To set the
      // umask instead would change it for every thread.
      if (owner !== undefined) {
        await Deno.chown(temporary, owner.uid, owner.gid);
      }
      await Deno.chmod(temporary, mode);
      await file.sync();
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    // Report the first failure, not that of the clean-up.
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(target));
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += await file.write(bytes.subarray(written));
  }
}

/** Makes the rename itself durable. */
async function syncDirectory(directory: string): Promise<void> {
  using handle = await Deno.open(directory);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and FUSE file systems cannot sync a directory (EINVAL);
    // the file is in place there all the same.
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code !== "EINVAL") throw error;
  }
}

async function makeDirectories(
  directory: string,
  mode = 0o755,
): Promise<void> {
  if (await lstatIfPresent(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectories(parent);
  try {
    await Deno.mkdir(directory, { mode });
    // The umask may have taken bits away.
    await Deno.chmod(directory, mode);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

async function lstatIfPresent(
  path: string,
): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
