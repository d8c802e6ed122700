/**
 * What keeps packets out of the kernel data path.
 *
 * @module
 */

import { describeError, LodenError } from "../../../errors.ts";

/**
 * The kernel has not what is needed, or does not let this process have it; the
 * user-space path may do. Its code is `backend.ebpf`.
 */
export class KernelPathUnavailableError extends LodenError {
  readonly retryable = false;

  constructor(cause: unknown) {
    const hint = cause instanceof LodenError ? cause.hint : undefined;
    const message = cause instanceof LodenError
      ? cause.message
      : describeError(cause);
    super("backend.ebpf", message, {
      cause,
      hint: hint ?? "--datapath=tun carries packets in user space",
    });
  }
}

/** The underlay has no Ethernet header to work on. Its code is `backend.link-layer`. */
export class NoEthernetError extends LodenError {
  constructor(interfaceName: string, kind: string) {
    super(
      "backend.link-layer",
      `Cannot use the kernel data path: ${interfaceName} must be an Ethernet device: current value is ${
        kind || "a device without a MAC address"
      }`,
      { hint: "--datapath=tun carries packets in user space" },
    );
  }
}

/**
 * Programs' packets are not encrypted, and are accepted unencrypted. Its code is
 * `backend.ipsec`.
 */
export class IpsecPoliciesError extends LodenError {
  constructor(count: number) {
    super(
      "backend.ipsec",
      `Cannot use the kernel data path by itself: the host must have no IPsec policies, which it would bypass: current value is ${count}`,
      { hint: "--datapath=ebpf says that the overlay needs none of them" },
    );
  }
}

/** The kernel is older than the data path's programs. Its code is `backend.kernel`. */
export class KernelTooOldError extends LodenError {
  constructor(release: string, least: string) {
    super(
      "backend.kernel",
      `Cannot use the kernel data path: Linux must be ${least} or later: current value is ${release}`,
      { hint: "--datapath=tun carries packets in user space" },
    );
  }
}

/** The programs run, but not as they should. Its code is `backend.test-packet`. */
export class TestPacketLostError extends LodenError {
  constructor(way: string, verdict: number) {
    super(
      "backend.test-packet",
      `Cannot use the kernel data path: a test packet ${way} must pass: current value is verdict ${verdict}`,
      { hint: "--datapath=tun carries packets in user space" },
    );
  }
}
