/**
 * The UDP sockets of this network namespace.
 *
 * Source: `net/ipv4/udp.c` (`udp4_format_sock`).
 *
 * @module
 */

import { type Ipv4, toIpv4 } from "../net/ipv4.ts";

/** One that a program holds. */
export interface UdpSocketEntry {
  /** 0: on every address. */
  readonly address: Ipv4;
  readonly port: number;
}

/**
 * Those in the text of `/proc/net/udp`. The kernel's own, as a VXLAN device has,
 * have no inode and are left out.
 */
export function parseProcNetUdp(text: string): UdpSocketEntry[] {
  return text.split("\n").flatMap((line): UdpSocketEntry[] => {
    const [, local = "", ...rest] = line.trim().split(/\s+/);
    const match = /^([0-9A-F]{8}):([0-9A-F]{4})$/.exec(local);
    if (match === null || !/^[1-9][0-9]*$/.test(rest[7] ?? "")) return [];
    // The address is in network byte order, printed as a number of the machine.
    const bytes = new DataView(new ArrayBuffer(4));
    bytes.setUint32(0, parseInt(match[1]!, 16), true);
    return [{
      address: toIpv4(bytes.getUint32(0)),
      port: parseInt(match[2]!, 16),
    }];
  });
}
