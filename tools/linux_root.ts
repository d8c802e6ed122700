/**
 * Programs here that need Linux and root.
 *
 * @module
 */

import { LodenError } from "../errors.ts";

/** Another system than Linux. `code` is `tools.linux`. */
export class LinuxRequiredError extends LodenError {
  constructor(what: string, system: string) {
    super(
      "tools.linux",
      `Cannot ${what}: the system must be Linux: current system is ${system}`,
      { hint: "a virtual machine with Debian 13 will do" },
    );
  }
}

/** Not root. `code` is `tools.root`. */
export class RootRequiredError extends LodenError {
  constructor(what: string, uid: number | null) {
    super(
      "tools.root",
      `Cannot ${what}: the user must be root: current user id is ${uid}`,
      { hint: "run this with sudo, or in a root shell" },
    );
  }
}

/** Throws unless this is Linux and the process is root's. */
export function requireLinuxRoot(what: string): void {
  const system = Deno.build.os;
  if (system !== "linux") throw new LinuxRequiredError(what, system);
  const uid = Deno.uid();
  if (uid !== 0) throw new RootRequiredError(what, uid);
}
