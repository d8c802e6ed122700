/**
 * The rules of a Docker that uses nftables: no Docker of Debian's does yet.
 *
 * @module
 */

import { DOCKER_MARK } from "../../host/firewall/docker_mark_plan.ts";

/** One container on docker0. */
export interface Docker29Options {
  /** Dotted quad. */
  readonly container: string;
  /** Whether it was given `--allow-direct-routing` and the overlay's mark. */
  readonly isTold: boolean;
}

/** A script for a shell: what Docker 29 sets for one container. */
export function docker29Rules(
  { container, isTold }: Docker29Options,
): string {
  const mark = `0x${DOCKER_MARK.toString(16)}`;
  const drop = `ip daddr ${container} iifname != "docker0" counter drop`;
  const accept = `meta mark & ${mark} == ${mark} counter accept`;
  return `nft -f - <<'RULES'
table ip docker-bridges {
  chain filter-FORWARD {
    type filter hook forward priority filter; policy accept;
    oifname "docker0" jump filter-forward-in__docker0
    iifname "docker0" accept
  }
  chain raw-PREROUTING {
    type filter hook prerouting priority raw; policy accept;
    ${isTold ? "" : drop}
  }
  chain filter-forward-in__docker0 {
    ct state established,related counter accept
    ${isTold ? accept : ""}
    iifname "docker0" counter accept
    counter drop comment "UNPUBLISHED PORT DROP"
  }
}
RULES`;
}
