/**
 * Files that could not be read or written.
 *
 * @module
 */

import { LodenError } from "../errors.ts";

/** Hints for error numbers; the others are self-explanatory. */
const REMEDIES: Readonly<Record<string, string>> = {
  EBUSY: "the path is a mount point: mount its directory instead",
  EDQUOT: "raise the quota, or choose a path on another file system",
  EISDIR: "name a file, not a directory",
  ENAMETOOLONG: "choose a shorter path",
  ENOENT: "check that the file system of this path is mounted",
  ENOSPC: "free space or inodes there, or choose a path on another file system",
  ENOTDIR: "each part of the path before the last must be a directory",
  EPERM: "run as root; check the file attributes with lsattr",
  EUNSAFE: "choose a path in directories that only root can write to",
  EROFS: "mount it writable, or choose a path on another file system (/run)",
};

const WRITE_REMEDIES: typeof REMEDIES = {
  ...REMEDIES,
  EACCES: "run as root, or give this user write permission on the directory",
  EEXIST: "remove that file, or name another one",
};

const READ_REMEDIES: typeof REMEDIES = {
  ...REMEDIES,
  EACCES: "run as root, or let this user read it",
};

/** A file that could not be read or looked at. `code` is `file.read`. */
export class FileReadError extends LodenError {
  constructor(path: string, cause: unknown) {
    const hint = READ_REMEDIES[errnoNameOf(cause)];
    super("file.read", `Cannot read ${path}: ${textOf(cause)}`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/**
 * A file that could not be written; the former file is unchanged. `code` is
 * `file.write`; waiting can cure it, so callers try again.
 */
export class FileWriteError extends LodenError {
  readonly path: string;
  /** Name of the error number (`ENOSPC`), or `unknown`. */
  readonly reason: string;

  constructor(path: string, cause: unknown) {
    const reason = errnoNameOf(cause);
    const hint = WRITE_REMEDIES[reason];
    super("file.write", `Cannot write ${path}: ${textOf(cause)}`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
    this.path = path;
    this.reason = reason;
  }
}

/** Deno puts the name of the error number in `code` of what it throws. */
function errnoNameOf(cause: unknown): string {
  if (cause instanceof Error && "code" in cause) {
    if (typeof cause.code === "string") return cause.code;
  }
  return "unknown";
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
