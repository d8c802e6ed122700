/**
 * Whether Docker's bridges fit this host's lease.
 *
 * @module
 */

import type { Link, LinkAddress } from "../../linux/netlink/rtnetlink.ts";
import {
  type Cidr,
  cidrOf,
  contains,
  formatCidr,
  isWithin,
  overlaps,
} from "../../net/cidr.ts";
import { formatIpv4, toIpv4 } from "../../net/ipv4.ts";
import { DAEMON_CONFIG_PATH, type DaemonConfig } from "./daemon_config.ts";
import type { DockerProblem } from "./docker_problem.ts";

/** How it looks. */
export interface BridgeFit {
  /** The bridge that holds the lease, for people: `docker0 10.1.5.1/24`. */
  readonly onLease: string | undefined;
  readonly problem: DockerProblem | undefined;
}

/** Docker's default bridge. */
const DEFAULT_BRIDGE = "docker0";
/** The bridge of another Docker network, if it was not given a name. */
const NETWORK_BRIDGE = /^br-([0-9a-f]{12})$/;
const RESTART = "systemctl restart docker";
/**
 * Keys that the agent's options file sets as well; Docker does not start with
 * both.
 */
const GIVEN = ["bip", "mtu", "ip-masq"];

/** What the bridges are compared with. */
export interface BridgeContext {
  readonly network: Cidr;
  readonly subnet: Cidr;
  /**
   * Docker's own configuration, which may set the same options as the agent's
   * file.
   */
  readonly config: DaemonConfig;
}

/** Compares every bridge with the overlay and this host's lease. */
export function checkBridges(
  { network, subnet, config }: BridgeContext,
  links: readonly Link[],
  addresses: readonly LinkAddress[],
): BridgeFit {
  const bridges = links.filter(({ kind }) => kind === "bridge").flatMap((
    link,
  ) =>
    addresses.filter(({ interfaceIndex }) => interfaceIndex === link.index)
      .map(({ address, prefixLength }) => ({
        name: link.name,
        cidr: cidrOf(address, prefixLength),
        text: `${link.name} ${formatIpv4(address)}/${prefixLength}`,
      }))
  );
  const onLease = bridges.find(({ cidr }) =>
    contains(subnet, cidr.address) && cidr.prefixLength >= subnet.prefixLength
  );
  const foreign = bridges.find((bridge) =>
    bridge !== onLease && overlaps(network, bridge.cidr) &&
    !isWithin(bridge.cidr, subnet)
  );
  if (foreign !== undefined) {
    return {
      onLease: onLease?.text,
      problem: {
        code: "docker.bridge-foreign",
        text: `${foreign.text} lies in the overlay ${formatCidr(network)}, ` +
          `but not in this host's lease ${formatCidr(subnet)}: what other ` +
          "hosts send there does not arrive here",
        fix: fixFor(foreign.name, foreign.text, config),
      },
    };
  }
  const docker0 = bridges.find(({ name }) => name === DEFAULT_BRIDGE);
  if (onLease === undefined && docker0 !== undefined) {
    const gateway = formatIpv4(toIpv4(subnet.address + 1));
    return {
      onLease: undefined,
      problem: {
        code: "docker.bridge-elsewhere",
        text: `${docker0.text} is not in this host's lease ` +
          `${formatCidr(subnet)}: Docker started before the lease was known ` +
          `or without --bip=${gateway}/${subnet.prefixLength}, so other ` +
          "hosts cannot reach its containers",
        fix: restartFor(config),
      },
    };
  }
  return { onLease: onLease?.text, problem: undefined };
}

/** Docker does not start if an option is in daemon.json as well. */
function restartFor(config: DaemonConfig): string {
  const twice = GIVEN.filter((key) => config.keys.has(key))
    .map((key) => `"${key}"`);
  return twice.length === 0
    ? RESTART
    : `remove ${twice.join(" and ")} from ${DAEMON_CONFIG_PATH}, then ` +
      RESTART;
}

function fixFor(name: string, text: string, config: DaemonConfig): string {
  if (name === DEFAULT_BRIDGE) return restartFor(config);
  const id = NETWORK_BRIDGE.exec(name)?.[1];
  if (id !== undefined) return `docker network rm ${id}`;
  return `ip address del ${text.split(" ")[1]} dev ${name}`;
}
