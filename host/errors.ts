/**
 * Errors of what Loden provides to other programs on the host.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import type { NetworkOverlap } from "./network_fit.ts";

/** Docker's options cannot be written; the command exits with code 1. */
export class DockerOptsError extends LodenError {
  /**
   * The usage text to print after the message, if the command line is invalid.
   */
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

/** A Docker network cannot be created on the lease; exit code 1. */
export class DockerNetworkError extends LodenError {
  constructor(reason: string, options: LodenErrorOptions = {}) {
    super(
      "docker-network",
      `Cannot create a Docker network: ${reason}`,
      options,
    );
  }
}

/**
 * This host already uses addresses of the overlay. Waiting may cure it: a route
 * can be removed, or another network published.
 */
export class NetworkOverlapError extends LodenError {
  /**
   * @param options.flag a flag that overrides the error. The agent has none: it
   * holds a lease by then and keeps its network until it stops.
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
      `Cannot use the network ${formatCidr(network)}: it must not overlap ` +
        `addresses or routes of this host: ${
          overlaps.map(({ text }) => text).join("; ")
        }`,
      { hint: ways.join(", or ") },
    );
  }
}
