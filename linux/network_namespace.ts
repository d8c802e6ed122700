/**
 * Looking into another network namespace.
 *
 * @module
 */

import { checked, cString, libc } from "./libc.ts";

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const CLONE_NEWNET = 0x40000000;
/** Of this thread: the process's main thread may be in another one. */
const OWN = "/proc/thread-self/ns/net";

/**
 * Calls `look` with this thread in the namespace of `path`, such as
 * `/proc/PID/ns/net`. Sockets that it opens stay there. It must not wait: what
 * else this thread does meanwhile would be done there.
 *
 * @throws {SystemCallError} if the namespace cannot be entered, which needs
 * CAP_SYS_ADMIN.
 */
export function inNetworkNamespace<T>(path: string, look: () => T): T {
  using own = new NamespaceFile(OWN);
  using other = new NamespaceFile(path);
  other.enter();
  try {
    return look();
  } finally {
    goBack(own);
  }
}

/** What follows would be done in the wrong namespace: no caller expects that. */
function goBack(own: NamespaceFile): void {
  try {
    own.enter();
  } catch (cause) {
    throw new Error("Cannot go back to this thread's network namespace", {
      cause,
    });
  }
}

class NamespaceFile implements Disposable {
  readonly #descriptor: number;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = checked(
      libc().open(cString(path), O_RDONLY | O_CLOEXEC),
      `open ${path}`,
    );
  }

  enter(): void {
    checked(
      libc().setns(this.#descriptor, CLONE_NEWNET),
      `enter the network namespace of ${this.#path}`,
      "run as root",
    );
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}
