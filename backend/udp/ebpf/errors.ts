/**
 * Errors of the kernel data path.
 *
 * @module
 */

import { describeError, LodenError } from "../../../errors.ts";

/**
 * The kernel lacks a feature or denies it to this process; the user-space data
 * path may work. Its code is `backend.ebpf`.
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
      hint: hint ?? "use --datapath=tun to carry packets in user space",
    });
  }
}

/** The underlay has no Ethernet headers. Its code is `backend.link-layer`. */
export class NoEthernetError extends LodenError {
  constructor(interfaceName: string, kind: string) {
    super(
      "backend.link-layer",
      `Cannot use the kernel data path: ${interfaceName} must be an Ethernet device: current value is ${
        kind || "a device without a MAC address"
      }`,
      { hint: "use --datapath=tun to carry packets in user space" },
    );
  }
}

/**
 * The host has IPsec policies, which programs would bypass: their packets are
 * neither encrypted nor checked. Its code is `backend.ipsec`.
 */
export class IpsecPoliciesError extends LodenError {
  constructor(count: number) {
    super(
      "backend.ipsec",
      `Cannot choose the kernel data path automatically: the host must have no IPsec policies, which it would bypass: current value is ${count}`,
      { hint: "use --datapath=ebpf if the overlay needs no IPsec" },
    );
  }
}

/** They are gone. Its code is `backend.ipsec-gone`. */
export class IpsecPoliciesGoneError extends LodenError {
  constructor() {
    super(
      "backend.ipsec-gone",
      "The host no longer has IPsec policies: trying the kernel data path again",
    );
  }
}

/**
 * The kernel lacks a feature without which there is no kernel data path. Its
 * code is `backend.kernel`.
 */
export class KernelFeatureMissingError extends LodenError {
  /** @param problem what the kernel said. */
  constructor(
    feature: { readonly name: string; readonly since: string },
    problem: unknown,
  ) {
    const hint = problem instanceof LodenError ? problem.hint : undefined;
    super(
      "backend.kernel",
      `Cannot use the kernel data path: it needs ${feature.name} (since Linux ${feature.since}): ${
        describeError(problem)
      }`,
      {
        cause: problem,
        hint: hint ?? "use --datapath=tun to carry packets in user space",
      },
    );
  }
}

/**
 * Trying a feature shows that it is not there, without an error of the kernel.
 * Its code is `backend.kernel-feature`.
 */
export class FeatureAbsentError extends LodenError {
  constructor(name: string, reason: string) {
    super("backend.kernel-feature", `Cannot use ${name}: ${reason}`);
  }
}

/**
 * The programs run but do not work as expected. Its code is
 * `backend.test-packet`.
 */
export class TestPacketLostError extends LodenError {
  constructor(way: string, verdict: number) {
    super(
      "backend.test-packet",
      `Cannot use the kernel data path: a test packet ${way} must pass: current value is verdict ${verdict}`,
      { hint: "use --datapath=tun to carry packets in user space" },
    );
  }
}

/**
 * Programs of an earlier kernel data path would take the packets of the user-space
 * path. Waiting helps as soon as they can be detached. Its code is
 * `backend.kernel-path-left`.
 */
export class KernelPathLeftError extends LodenError {
  readonly retryable = true;

  /** @param what the programs and devices, in words. */
  constructor(what: string, cause: unknown) {
    super(
      "backend.kernel-path-left",
      `Cannot carry packets in user space: ${what} must be detached first: ${
        describeError(cause)
      }`,
      {
        cause,
        hint: "run loden cleanup as root; the agent tries again by itself",
      },
    );
  }
}
