/**
 * Messages about VXLAN devices: `IFLA_VXLAN_*` attributes in the data of a link.
 *
 * Source: `linux/if_link.h`, `drivers/net/vxlan/vxlan_core.c`.
 *
 * @module
 */

import { ipv4FromBytes, ipv4ToBytes } from "../../net/ipv4.ts";
import {
  type Attribute,
  nestedAttribute,
  readU32,
  REQUEST_FLAG,
  textAttribute,
  u32Attribute,
  u8Attribute,
} from "./codec.ts";
import { IFLA, INFO, linkData, linkMessage } from "./link.ts";
import type { NetlinkRequest } from "./request.ts";
import type { NewVxlan, VxlanSettings } from "./rtnetlink.ts";

const RTM_NEWLINK = 16;

const IFLA_VXLAN = {
  ID: 1,
  LINK: 3,
  LOCAL: 4,
  LEARNING: 7,
  PORT: 15,
  UDP_CSUM: 18,
  GBP: 23,
} as const;

/** Asks for a new device, down. What is not named is the kernel's default. */
export function newVxlanRequest(vxlan: NewVxlan): NetlinkRequest {
  const data: Attribute[] = [
    u32Attribute(IFLA_VXLAN.ID, vxlan.vni),
    u32Attribute(IFLA_VXLAN.LINK, vxlan.underlayIndex),
    { type: IFLA_VXLAN.LOCAL, value: ipv4ToBytes(vxlan.local) },
    u8Attribute(IFLA_VXLAN.LEARNING, vxlan.learning ? 1 : 0),
    u8Attribute(IFLA_VXLAN.UDP_CSUM, vxlan.outerChecksum ? 1 : 0),
    { type: IFLA_VXLAN.PORT, value: bigEndian16(vxlan.port) },
  ];
  if (vxlan.groupPolicy) {
    data.push({ type: IFLA_VXLAN.GBP, value: new Uint8Array(0) });
  }
  return {
    type: RTM_NEWLINK,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: linkMessage(0, [
      textAttribute(IFLA.IFNAME, vxlan.name),
      u32Attribute(IFLA.MTU, vxlan.mtuBytes),
      { type: IFLA.ADDRESS, value: vxlan.mac },
      nestedAttribute(IFLA.LINKINFO, [
        textAttribute(INFO.KIND, "vxlan"),
        nestedAttribute(INFO.DATA, data),
      ]),
    ]),
  };
}

/** Reads the payload of an `RTM_NEWLINK`; undefined for another kind of device. */
export function parseVxlan(payload: Uint8Array): VxlanSettings | undefined {
  const values = linkData(payload, "vxlan");
  if (values === undefined) return undefined;
  const number = (type: number) => {
    const value = values.get(type);
    return value === undefined ? 0 : readU32(value);
  };
  const local = values.get(IFLA_VXLAN.LOCAL);
  const port = values.get(IFLA_VXLAN.PORT);
  return {
    vni: number(IFLA_VXLAN.ID),
    underlayIndex: number(IFLA_VXLAN.LINK),
    local: local?.length === 4 ? ipv4FromBytes(local) : undefined,
    port: port === undefined ? 0 : port[0]! << 8 | port[1]!,
    learning: values.get(IFLA_VXLAN.LEARNING)?.[0] === 1,
    outerChecksum: values.get(IFLA_VXLAN.UDP_CSUM)?.[0] === 1,
    groupPolicy: values.has(IFLA_VXLAN.GBP),
  };
}

function bigEndian16(number: number): Uint8Array {
  return Uint8Array.of(number >>> 8, number & 0xff);
}
