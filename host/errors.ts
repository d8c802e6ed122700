/**
 * What the host's other programs get from us, when it cannot be made.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import type { NetworkOverlap } from "./network_fit.ts";

/** Docker's options cannot be made; the command ends with exit code 1. */
export class DockerOptsError extends LodenError {
  /** The usage text to print after the message, when the command line is bad. */
  readonly usage: string | undefined;

  constructor(
    message: string,
    options: LodenErrorOptions & { usage?: string } = {},
  ) {
    const { usage, ...rest } = options;
    super("docker-opts", message, rest);
    this.usage = usage;
  }
}

/** A network of Docker's cannot be made on the lease; exit code 1. */
export class DockerNetworkError extends LodenError {
  constructor(reason: string, options: LodenErrorOptions = {}) {
    super(
      "docker-network",
      `Cannot make a Docker network: ${reason}`,
      options,
    );
  }
}

/**
 * The overlay's addresses are this host's already. Waiting may cure it: a route
 * can be removed, another network published.
 */
export class NetworkOverlapError extends LodenError {
  /**
   * @param options.flag one that makes the caller go on all the same. An agent
   * has none: it has a lease by then, and keeps to its network until it ends.
   */
  constructor(
    network: Cidr,
    overlaps: readonly NetworkOverlap[],
    options: { readonly flag?: string } = {},
  ) {
    const [first] = overlaps as readonly [NetworkOverlap];
    const { flag } = options;
    const restart = flag === undefined ? " and restart the agent" : "";
    const ways = [`publish another Network${restart}`];
    if (first.fix !== undefined) ways.push(first.fix);
    if (flag !== undefined) ways.push(`add ${flag}`);
    super(
      "host.network-overlaps",
      `Cannot use the network ${
        formatCidr(network)
      }: it must not overlap what ` +
        `this host has: ${overlaps.map(({ text }) => text).join("; ")}`,
      { hint: ways.join(", or ") },
    );
  }
}
