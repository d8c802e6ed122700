/**
 * What is to be explained, by the words and flags of the command line.
 *
 * @module
 */

import {
  type Flow,
  FLOW_PROTOCOLS,
  hasPorts,
} from "../../agent/explain/flow.ts";
import type { HostFacts } from "../../agent/explain/gather_host.ts";
import { overlayAddress } from "../../agent/explain/host_address.ts";
import { valueOf } from "../../agent/explain/fact.ts";
import { UsageError } from "../../config/errors.ts";
import type { CommandLine } from "../../config/go_flags.ts";
import { describeError } from "../../errors.ts";
import type { DockerContainer } from "../../host/docker/docker_container.ts";
import { contains } from "../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import { SIZE_FLAG } from "../flags.ts";

/** As it was typed. */
export interface ExplainRequest {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly port: number | undefined;
  readonly sizeBytes: number;
  readonly send: boolean;
}

/** @throws {UsageError} */
export function readRequest({ given, words }: CommandLine): ExplainRequest {
  const [from, to, ...rest] = words;
  if (from === undefined || to === undefined || rest.length > 0) {
    throw new UsageError(
      "usage.explain",
      "Cannot explain: a source and a destination must be given: current " +
        `words are ${JSON.stringify(words.join(" "))}`,
      { hint: "loden explain 10.1.5.2 10.1.7.2" },
    );
  }
  const port = Number(given.get("port")?.value ?? 0) || undefined;
  const proto = given.get("proto")?.value as
    | keyof typeof FLOW_PROTOCOLS
    | undefined;
  const protocol =
    FLOW_PROTOCOLS[proto ?? (port === undefined ? "icmp" : "tcp")];
  if (port !== undefined && !hasPorts(protocol)) {
    throw new UsageError(
      "usage.explain",
      `Cannot explain: --proto must be tcp or udp with --port: current value is ${proto}`,
    );
  }
  return {
    from,
    to,
    protocol,
    port,
    sizeBytes: Number(given.get("size")?.value ?? SIZE_FLAG.default),
    send: given.get("send")?.value === true,
  };
}

/** Finds a container of this host by its name. */
export type FindContainer = (
  name: string,
) => Promise<DockerContainer | undefined>;

/**
 * The packet, with addresses in place of names.
 *
 * @throws {UsageError} for a word that is no address and no container's name.
 */
export async function resolveFlow(
  { from, port, protocol, sizeBytes, to }: ExplainRequest,
  host: HostFacts,
  find: FindContainer,
): Promise<Flow> {
  return {
    source: await resolve(from, host, find),
    destination: await resolve(to, host, find),
    protocol,
    sizeBytes,
    ...port !== undefined && { port },
  };
}

async function resolve(
  word: string,
  host: HostFacts,
  find: FindContainer,
): Promise<Ipv4> {
  const address = parseIpv4(word);
  if (address !== undefined) return overlayAddress(host, address);
  const container = await findNamed(word, find);
  const network = valueOf(host.overlay)?.network;
  const [first] = container.addresses.toSorted((a, b) =>
    Number(network !== undefined && contains(network, b)) -
    Number(network !== undefined && contains(network, a))
  );
  if (first !== undefined) return first;
  throw new UsageError(
    "usage.explain",
    `Cannot explain: ${word} must have an address: ` +
      (container.isRunning
        ? "it is a container without a network of its own"
        : "it is a container that does not run"),
    { hint: "docker start it, or give an address" },
  );
}

async function findNamed(
  word: string,
  find: FindContainer,
): Promise<DockerContainer> {
  let reason = "Docker of this host has no container of that name";
  try {
    const container = await find(word);
    if (container !== undefined) return container;
  } catch (error) {
    // Docker does not answer, or not this user.
    if (!(error instanceof Error)) throw error;
    reason = `Docker cannot be asked: ${describeError(error)}`;
  }
  throw new UsageError(
    "usage.explain",
    "Cannot explain: each word must be an IPv4 address or the name of a " +
      `container on this host: current word is ${JSON.stringify(word)}`,
    { hint: reason },
  );
}
