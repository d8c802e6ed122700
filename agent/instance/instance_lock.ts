/**
 * One agent per network and host.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { AgentRunningError, RunDirectoryError } from "../errors.ts";
import type { InstancePaths } from "./instance.ts";

const log = getLogger(["loden", "agent"]);

/**
 * A lock that the kernel releases when the process ends in any way (flock(2)).
 * The file stays: after removing it, two agents could hold locks on two files
 * with one name.
 */
export class InstanceLock implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * @throws {AgentRunningError} if another process holds it, with its pid.
   * @throws {RunDirectoryError} if the file cannot be created.
   */
  static acquire(
    paths: InstancePaths,
    etcdPrefix: string,
    pid: number = Deno.pid,
  ): InstanceLock {
    try {
      Deno.mkdirSync(paths.runDir, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new RunDirectoryError("create the directory", paths.runDir, error);
    }
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(paths.lock, {
        read: true,
        write: true,
        create: true,
        mode: 0o600,
      });
    } catch (error) {
      throw new RunDirectoryError("open the lock", paths.lock, error);
    }
    if (!file.tryLockSync(true)) {
      const holder = readPid(file);
      file.close();
      throw new AgentRunningError(etcdPrefix, paths.lock, holder);
    }
    try {
      file.truncateSync(0);
      file.writeSync(new TextEncoder().encode(`${pid}\n`));
    } catch (error) {
      // The lock holds without it; a full disk must not delay packets.
      log.warn("process id cannot be written into the lock", {
        event: "agent.lock-without-pid",
        path: paths.lock,
        error,
      });
    }
    return new InstanceLock(file);
  }

  /** The process that holds the lock; `undefined` if none does. */
  static holder(paths: InstancePaths): { pid: number | undefined } | undefined {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(paths.lock, { read: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw new RunDirectoryError("open the lock", paths.lock, error);
    }
    using lock = file;
    return lock.tryLockSync(true) ? undefined : { pid: readPid(lock) };
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function readPid(file: Deno.FsFile): number | undefined {
  const bytes = new Uint8Array(16);
  const length = file.readSync(bytes) ?? 0;
  const pid = Number(new TextDecoder().decode(bytes.subarray(0, length)));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
