/**
 * Messages about ipip devices: `IFLA_IPTUN_*` attributes in the data of a link.
 *
 * Source: `linux/if_tunnel.h`, `net/ipv4/ipip.c`.
 *
 * @module
 */

import { ipv4FromBytes, ipv4ToBytes } from "../../net/ipv4.ts";
import {
  nestedAttribute,
  REQUEST_FLAG,
  textAttribute,
  u32Attribute,
  u8Attribute,
} from "./codec.ts";
import { IFLA, INFO, linkData, linkMessage } from "./link.ts";
import type { NetlinkRequest } from "./request.ts";
import type { IpipSettings, NewIpip } from "./rtnetlink.ts";

const RTM_NEWLINK = 16;

const IFLA_IPTUN = { LOCAL: 2, REMOTE: 3, TTL: 4, PMTUDISC: 10 } as const;

/**
 * Asks for a new device, down, towards any remote. The outer packet gets the TTL
 * and the DF flag of the inner one, as with flannel's device: `IFLA_IPTUN_PMTUDISC`
 * must be sent, because without it the kernel sets DF on all.
 */
export function newIpipRequest(ipip: NewIpip): NetlinkRequest {
  return {
    type: RTM_NEWLINK,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: linkMessage(0, [
      textAttribute(IFLA.IFNAME, ipip.name),
      u32Attribute(IFLA.MTU, ipip.mtuBytes),
      nestedAttribute(IFLA.LINKINFO, [
        textAttribute(INFO.KIND, "ipip"),
        nestedAttribute(INFO.DATA, [
          { type: IFLA_IPTUN.LOCAL, value: ipv4ToBytes(ipip.local) },
          u8Attribute(IFLA_IPTUN.TTL, 0),
          u8Attribute(IFLA_IPTUN.PMTUDISC, 0),
        ]),
      ]),
    ]),
  };
}

/** Reads the payload of an `RTM_NEWLINK`; undefined for another kind of device. */
export function parseIpip(payload: Uint8Array): IpipSettings | undefined {
  const values = linkData(payload, "ipip");
  if (values === undefined) return undefined;
  const address = (type: number) => {
    const value = values.get(type);
    // The kernel reports 0.0.0.0 where there is none.
    const found = value?.length === 4 ? ipv4FromBytes(value) : undefined;
    return found || undefined;
  };
  return {
    local: address(IFLA_IPTUN.LOCAL),
    remote: address(IFLA_IPTUN.REMOTE),
  };
}
