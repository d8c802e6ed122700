/**
 * Errors of assembling, loading and attaching programs.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import {
  ERRNO,
  errnoName,
  SystemCallError,
  type SystemCallErrorOptions,
} from "../errno.ts";

/**
 * An instruction that cannot be encoded, or an inconsistent program. A bug in
 * the code that built the program. Its code is `bpf.instruction`.
 */
export class BadInstructionError extends LodenError {
  /**
   * @param what What was attempted, after "Cannot": "assemble r1 += 7".
   * @param rule "the offset must be …".
   * @param place File and line of the program, where known.
   */
  constructor(
    what: string,
    rule: string,
    value: number | bigint | string,
    place: string | undefined,
  ) {
    super(
      "bpf.instruction",
      `Cannot ${what}: ${rule}: current value is ${value}${
        place === undefined ? "" : `, at ${place}`
      }`,
    );
  }
}

/** Hint for EPERM: the required privileges, and what may block root. */
const PERMISSION_HINT =
  "run as root or with CAP_BPF and CAP_NET_ADMIN, in a container without a " +
  "seccomp profile that forbids bpf(2), and see /sys/kernel/security/lockdown";

/** Hints by error number. */
const HINTS: Readonly<Record<number, string>> = {
  [ERRNO.EPERM]: PERMISSION_HINT,
  [ERRNO.ENOSYS]: "the kernel must be built with CONFIG_BPF_SYSCALL",
};

/** The kernel refused a call of `bpf(2)`. `code` is `linux.<ERRNO>`. */
export class BpfError extends SystemCallError {
  /** @param what What was attempted, after "Cannot": "make the map loden_peers". */
  constructor(
    what: string,
    errno: number,
    options: SystemCallErrorOptions = {},
  ) {
    const hint = HINTS[errno];
    super(what, errno, hint === undefined ? options : { hint, ...options });
  }
}

/** The verifier's answer about a refused program. */
export interface Refusal {
  readonly errno: number;
  /** `uname -r`. */
  readonly kernelRelease: string;
  /** The last lines of the verifier's log. */
  readonly log: string;
  /** The instruction that was refused, as text, and where it was written. */
  readonly instruction?: string | undefined;
  readonly place?: string | undefined;
}

/**
 * The kernel's verifier refused a program: a bug in the code that built it, or
 * a kernel that lacks a feature. Its code is `bpf.verifier`.
 */
export class ProgramRefusedError extends LodenError {
  readonly errno: number;
  readonly log: string;
  /** File and line of the refused instruction, where the log names it. */
  readonly place: string | undefined;

  constructor(name: string, refusal: Refusal) {
    const { errno, kernelRelease, log, instruction, place } = refusal;
    const where = instruction === undefined
      ? ""
      : ` at ${place ?? "an unknown place"}, "${instruction}"`;
    super(
      "bpf.verifier",
      `Cannot load the program ${name}: the verifier of Linux ${kernelRelease} answered ${
        errnoName(errno)
      }${where}: ${log}`,
      {
        hint:
          "use --datapath=tun, and report this message with the kernel's release",
      },
    );
    this.errno = errno;
    this.log = log;
    this.place = place;
  }
}

/** A map or program with an invalid specification. Its code is `bpf.spec`. */
export class BadBpfSpecError extends LodenError {
  constructor(what: string, rule: string, value: number | string) {
    super("bpf.spec", `Cannot ${what}: ${rule}: current value is ${value}`);
  }
}
