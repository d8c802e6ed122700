/**
 * Errors of backends.
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import { ERRNO, type SystemCallError } from "../linux/errno.ts";

/** Errors that the next attempt would meet as well. */
const LASTING: ReadonlySet<number> = new Set([
  ERRNO.EPERM,
  ERRNO.EACCES,
  ERRNO.ENOENT,
  ERRNO.EBUSY,
  ERRNO.EEXIST,
  ERRNO.EINVAL,
  ERRNO.EADDRINUSE,
]);

/** The data path could not be started. Its code is `backend.start`. */
export class BackendStartError extends LodenError {
  /**
   * Whether waiting may help: not if a permission, a device file or a free port
   * is missing.
   */
  readonly retryable: boolean;

  constructor(cause: SystemCallError) {
    super("backend.start", cause.message, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
    this.retryable = !LASTING.has(cause.errno);
  }
}

/**
 * Neither data path of the `udp` backend works here. Its code is
 * `backend.no-data-path`.
 */
export class NoDataPathError extends LodenError {
  readonly retryable: boolean;

  /** @param kernelPath why the kernel data path cannot be used, for people. */
  constructor(kernelPath: string, userSpace: BackendStartError) {
    const others =
      "the backends vxlan, host-gw, ipip and wireguard need neither";
    super(
      "backend.no-data-path",
      `Cannot carry packets by either data path. In user space: ${userSpace.message}. ` +
        `In the kernel: ${kernelPath}`,
      {
        cause: userSpace,
        hint: [userSpace.hint, others].filter((each) => each).join("; "),
      },
    );
    this.retryable = userSpace.retryable;
  }
}

/** The overlay does not fit the host. Its code is `backend.mtu`. */
export class UnderlayMtuError extends LodenError {
  readonly retryable = false;

  constructor(interfaceName: string, mtuBytes: number, leastBytes: number) {
    super(
      "backend.mtu",
      `Cannot encapsulate packets: the MTU of ${interfaceName} must be at least ${leastBytes} bytes: current value is ${mtuBytes}`,
      { hint: `ip link set ${interfaceName} mtu 1500` },
    );
  }
}

/**
 * This host cannot run a backend that a running network is to change to. Its code
 * is `backend.obstacle`.
 */
export class BackendObstacleError extends LodenError {
  constructor(type: string, obstacle: string) {
    super(
      "backend.obstacle",
      `Cannot change to the ${type} backend: this host must be able to run it: ` +
        obstacle,
    );
  }
}

/** The data path ran and cannot continue. Its code is `backend.failed`. */
export class BackendFailedError extends LodenError {
  constructor(device: string, reason: string, options?: ErrorOptions) {
    super(
      "backend.failed",
      `Cannot carry packets through ${device}: ${reason}`,
      options,
    );
  }
}
