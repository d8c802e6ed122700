/**
 * Docker's daemon options from the subnet file: flannel's mk-docker-opts.sh as
 * a function (compat 5).
 *
 * @module
 */

import type { Route } from "../../linux/netlink/rtnetlink.ts";
import { type Cidr, equalCidr } from "../../net/cidr.ts";
import { DockerOptsError } from "../errors.ts";
import { type SubnetEnv, subnetVariables } from "../subnet_env.ts";

/** What the output contains; the script's `-i`, `-c`, `-k` and `-m`. */
export interface DockerOptsContent {
  /** One `DOCKER_OPT_*` line per option (`-i`). */
  readonly individual: boolean;
  /** One line with all options (`-c`). */
  readonly combined: boolean;
  /** The name of the combined variable (`-k`). */
  readonly combinedKey: string;
  /** Whether `--ip-masq` is among the options (not `-m`). */
  readonly ipMasq: boolean;
}

/**
 * What the agent writes.
 *
 * The individual lines are those that CoreOS wrote with `mk-docker-opts.sh -i`.
 * The combined line has the name that the flannel packages of Fedora and CentOS
 * use instead of the script's `DOCKER_OPTS`: an EnvironmentFile would override
 * a unit's `Environment=DOCKER_OPTS=…`, in which CoreOS users keep their own
 * options.
 */
export const AGENT_CONTENT: DockerOptsContent = {
  individual: true,
  combined: true,
  combinedKey: "DOCKER_NETWORK_OPTIONS",
  ipMasq: true,
};

const INDIVIDUAL_PREFIX = "DOCKER_OPT_";

/**
 * The text of Docker's environment file, byte for byte as the script of flannel
 * HEAD writes it: individual lines in alphabetical order, then the combined
 * line, which begins with the former value of its variable. Other
 * `DOCKER_OPT_*` variables are passed on.
 *
 * @param variables the environment, overridden by the subnet file's variables.
 * @throws {DockerOptsError} if FLANNEL_IPMASQ is neither true nor false.
 */
export function renderDockerOpts(
  variables: Readonly<Record<string, string>>,
  content: DockerOptsContent,
): string {
  const options = { ...variables };
  if (variables.FLANNEL_SUBNET) {
    options.DOCKER_OPT_BIP = `--bip=${variables.FLANNEL_SUBNET}`;
  }
  if (variables.FLANNEL_MTU) {
    options.DOCKER_OPT_MTU = `--mtu=${variables.FLANNEL_MTU}`;
  }
  if (variables.FLANNEL_IPMASQ && content.ipMasq) {
    // Exactly one of the two may masquerade.
    options.DOCKER_OPT_IPMASQ = `--ip-masq=${!readIpMasq(
      variables.FLANNEL_IPMASQ,
    )}`;
  }
  const names = Object.keys(options).sort()
    .filter((name) => name.startsWith(INDIVIDUAL_PREFIX));
  const before = variables[content.combinedKey];
  let text = "";
  let combined = before ? `${before} ` : "";
  for (const name of names) {
    if (content.individual) text += `${name}="${options[name]}"\n`;
    combined += ` ${options[name]}`;
  }
  return content.combined
    ? `${text}${content.combinedKey}="${combined}"\n`
    : text;
}

function readIpMasq(value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw new DockerOptsError(
    `Cannot tell whether Docker must masquerade: FLANNEL_IPMASQ must be true ` +
      `or false: current value is ${JSON.stringify(value)}`,
  );
}

/** The text of the agent's file. */
export function renderAgentDockerOpts(
  env: SubnetEnv,
  options: Readonly<Record<string, string>>,
): string {
  const variables = { ...subnetVariables(env), ...options };
  return renderDockerOpts(variables, AGENT_CONTENT);
}

/**
 * A route that sends this host's own subnet through a gateway, so that Docker's
 * bridge would not get its packets. The script fails in this case.
 */
export function findRouteAway(
  subnet: Cidr,
  routes: readonly Route[],
): Route | undefined {
  return routes.find((route) =>
    equalCidr(route.destination, subnet) && route.gateway !== undefined
  );
}
