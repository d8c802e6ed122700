/**
 * A file with Docker's options that is no longer kept up to date.
 *
 * @module
 */

import {
  type Cidr,
  contains,
  formatCidr,
  parseAddressWithPrefix,
} from "../../net/cidr.ts";
import { formatIpv4, toIpv4 } from "../../net/ipv4.ts";
import { parseDotenv } from "../../linux/dotenv.ts";
import type { DockerProblem } from "./docker_problem.ts";

/** The path that flannel's units use, and Loden by default. */
export const USUAL_OPTIONS_FILE = "/run/flannel_docker_opts.env";

/** What the file is compared with. */
export interface StaleOptionsContext {
  readonly network: Cidr;
  readonly subnet: Cidr;
  /** The subnet file, from which the file can be written again. */
  readonly subnetFile: string;
}

/**
 * Whether the text of {@linkcode USUAL_OPTIONS_FILE}, which this agent does not
 * write, would start Docker on another host's subnet. A file about another
 * network belongs to another agent.
 */
export function checkStaleOptions(
  text: string,
  { network, subnet, subnetFile }: StaleOptionsContext,
): DockerProblem | undefined {
  const option = parseDotenv(text).get("DOCKER_OPT_BIP") ?? "";
  const bip = parseAddressWithPrefix(option.replace(/^--bip=/, ""));
  if (bip === undefined || !contains(network, bip.address)) return undefined;
  if (
    bip.address === subnet.address + 1 &&
    bip.prefixLength === subnet.prefixLength
  ) return undefined;
  const path = USUAL_OPTIONS_FILE;
  const gateway = formatIpv4(toIpv4(subnet.address + 1));
  return {
    code: "docker.options-stale",
    text: `${path}, which this agent does not write, says ` +
      `--bip=${formatIpv4(bip.address)}/${bip.prefixLength}, but this host's ` +
      `lease is ${
        formatCidr(subnet)
      } (--bip=${gateway}/${subnet.prefixLength})`,
    fix: `loden docker-opts -i -c -f ${subnetFile} -d ${path}`,
  };
}
