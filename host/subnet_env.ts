/**
 * The file that tells the host's other programs about the overlay.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Cidr, formatCidr, parseCidr } from "../net/cidr.ts";
import { formatIpv4, toIpv4 } from "../net/ipv4.ts";
import { type OverlayMtu, overlayMtu } from "../net/mtu.ts";
import { parseDotenv } from "../linux/dotenv.ts";

const log = getLogger(["loden", "host"]);

/** The content of flannel's subnet file (compat 4). */
export interface SubnetEnv {
  readonly network: Cidr;
  /** The leased subnet; the file contains its first host address instead. */
  readonly subnet: Cidr;
  readonly mtuBytes: OverlayMtu;
  /**
   * Whether the agent masquerades. `true` makes Docker turn off its own
   * masquerade, so the firewall rules must be in place before the file is
   * written.
   */
  readonly ipMasq: boolean;
}

/** The file's text, byte for byte as flannel writes it for IPv4 (compat 4). */
export function renderSubnetEnv(env: SubnetEnv): string {
  return formatVariables(subnetVariables(env));
}

/** The file's variables, in their order. */
export function subnetVariables(
  env: SubnetEnv,
): Readonly<Record<string, string>> {
  const gateway = formatIpv4(toIpv4(env.subnet.address + 1));
  return {
    FLANNEL_NETWORK: formatCidr(env.network),
    FLANNEL_SUBNET: `${gateway}/${env.subnet.prefixLength}`,
    FLANNEL_MTU: String(env.mtuBytes),
    FLANNEL_IPMASQ: String(env.ipMasq),
  };
}

function formatVariables(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`).join("");
}

/**
 * Parses the file as flannel does at its next start: a variable may hold a list
 * with commas; items that are not an IPv4 CIDR are skipped; unless exactly one
 * is left, the variable counts as absent (compat 4). Never throws.
 */
export function parseSubnetEnv(text: string): Partial<SubnetEnv> {
  const variables = parseDotenv(text);
  const network = onlyCidr(variables.get("FLANNEL_NETWORK"));
  const subnet = onlyCidr(variables.get("FLANNEL_SUBNET"));
  const mtu = variables.get("FLANNEL_MTU") ?? "";
  const ipMasq = variables.get("FLANNEL_IPMASQ") ?? "";
  return {
    ...(network && { network }),
    ...(subnet && { subnet }),
    ...(/^[1-9][0-9]{0,5}$/.test(mtu) && { mtuBytes: overlayMtu(Number(mtu)) }),
    ...(/^(true|false)$/.test(ipMasq) && { ipMasq: ipMasq === "true" }),
  };
}

function onlyCidr(list: string | undefined): Cidr | undefined {
  const found = (list ?? "").split(",")
    .map((text) => parseCidr(text.trim()))
    .filter((cidr) => cidr !== undefined);
  return found.length === 1 ? found[0] : undefined;
}

/**
 * What an earlier agent, Loden or flannel, left at `path`. A missing or
 * unreadable file is ignored, because the file only helps to keep the subnet.
 */
export async function readSubnetEnv(path: string): Promise<Partial<SubnetEnv>> {
  try {
    return parseSubnetEnv(await Deno.readTextFile(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      log.warn("previous subnet file cannot be read", {
        event: "subnet-file.unreadable",
        path,
        error,
      });
    }
    return {};
  }
}
