/**
 * Files that other programs read while we write them.
 *
 * @module
 */

import { basename, dirname, join } from "node:path/posix";
import { FileWriteError } from "./file_errors.ts";
import { systemRandom } from "./random.ts";

/** How {@linkcode writeFileAtomically} makes a file. */
export interface AtomicFileOptions {
  /** Permission bits of a new file, whatever the umask; an existing file keeps its own. */
  mode: number;
  /** The same of its directory, where that has to be made; 0755 by default. */
  directoryMode?: number;
}

/**
 * Puts `text` (UTF-8) at `path`, so that a reader sees the old content or the
 * new, never a part, also after a power cut: a temporary file in the same
 * directory, fsync, rename, fsync of the directory (compat 4).
 *
 * Missing directories are made, those above the file's own with mode 0755. A
 * symbolic link is followed. A file that already holds exactly `text` is left
 * alone, its time stamps too: a path unit that watches it fires only when
 * something changed.
 *
 * @throws {FileWriteError} naming the path and the reason; nothing is left
 * behind and the previous content stays.
 */
export async function writeFileAtomically(
  path: string,
  text: string,
  options: AtomicFileOptions,
): Promise<void> {
  try {
    const target = await followLink(path);
    await makeDirectories(dirname(target), options.directoryMode);
    const present = await lstatIfPresent(target);
    if (present && !present.isFile) throw new NotRegularFileError(present);
    if (present && await Deno.readTextFile(target) === text) return;
    const mode = present?.mode ?? options.mode;
    await replaceFile(target, text, mode & 0o7777);
  } catch (error) {
    throw new FileWriteError(path, error);
  }
}

/** A rename would put a file in place of a directory or of `/dev/null`. */
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
  text: string,
  mode: number,
): Promise<void> {
  const suffix = [...systemRandom.bytes(8)]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const temporary = join(dirname(target), `.${basename(target)}.${suffix}`);
  try {
    {
      // Nobody else may read it until the mode is the one asked for.
      using file = await Deno.open(temporary, {
        write: true,
        createNew: true,
        mode: 0o600,
      });
      await writeAll(file, new TextEncoder().encode(text));
      await Deno.chmod(temporary, mode);
      await file.sync();
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    // The first failure is the one to report, not that of the tidying up.
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
    await Deno.mkdir(directory);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    throw error;
  }
  await Deno.chmod(directory, mode);
}

/** The path behind a symbolic link; the path itself when nothing is there. */
async function followLink(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path;
    throw error;
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
