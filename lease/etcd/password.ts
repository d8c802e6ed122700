/**
 * The password of an etcd account, from the settings or from a file.
 *
 * @module
 */

/** A user of etcd's own access control. */
export interface EtcdAccount {
  readonly username: string;
  /**
   * The current password, read before each login.
   *
   * @throws {PasswordFileError}
   */
  readonly password: () => string;
}

/**
 * A password file that is missing, unreadable, empty or accessible to all
 * users.
 */
export class PasswordFileError extends Error {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.name = "PasswordFileError";
  }
}

/** The permission bits of other users. */
const OTHERS = 0o007;

/**
 * Reads a password: the file's text without the final line break that editors
 * and `echo` add. A file that every user of the host can read or write is
 * refused, like ssh refuses such a key.
 *
 * @throws {PasswordFileError}
 */
export function readPasswordFile(path: string): string {
  let text: string;
  let mode: number;
  try {
    // Checks the open file, so that mode and text belong to the same file.
    using file = Deno.openSync(path);
    mode = file.statSync().mode ?? 0;
    text = readAll(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (error as Error).message;
    throw new PasswordFileError(path, reason, { cause: error });
  }
  if ((mode & OTHERS) !== 0) {
    const shown = (mode & 0o7777).toString(8).padStart(4, "0");
    throw new PasswordFileError(
      path,
      `every user of this host may use it (mode ${shown}): chmod 600 ${path}`,
    );
  }
  const password = text.replace(/\r?\n$/, "");
  if (password === "") throw new PasswordFileError(path, "it is empty");
  return password;
}

/**
 * Passwords are short; this stops at a device or a log file named by mistake.
 */
const LONGEST_BYTES = 4096;

function readAll(file: Deno.FsFile): string {
  const bytes = new Uint8Array(LONGEST_BYTES);
  let length = 0;
  for (;;) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
    if (length === LONGEST_BYTES) {
      throw new RangeError(`it must be shorter than ${LONGEST_BYTES} bytes`);
    }
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
