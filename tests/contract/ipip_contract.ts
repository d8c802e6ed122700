/**
 * What an `Rtnetlink` promises about ipip devices. Not every kernel has them.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { NewIpip, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { parseAddressWithPrefix, parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";

/** What the ipip backend asks for. */
export const IPIP: NewIpip = {
  name: "flannel.ipip",
  local: parseIpv4("192.0.2.11")!,
  mtuBytes: 1400,
};

/** Registers the tests; each has a network of its own. */
export function ipipContract(name: string, open: () => Rtnetlink): void {
  const test = (what: string, run: (rtnetlink: Rtnetlink) => void) =>
    Deno.test(`${name} ${what}`, () => {
      using rtnetlink = open();
      try {
        run(rtnetlink);
      } finally {
        for (const link of rtnetlink.links()) {
          if (link.name === IPIP.name) rtnetlink.deleteLink(link.index);
        }
      }
    });

  test("makes an ipip device towards any remote", (rtnetlink) => {
    const { index } = rtnetlink.createIpip(IPIP);
    const link = rtnetlink.links().find((each) => each.index === index)!;
    assertEquals(
      [link.name, link.kind, link.mtuBytes, link.mac.length, link.up],
      ["flannel.ipip", "ipip", 1400, 0, false],
    );
    assertEquals(rtnetlink.ipipSettings(index), {
      local: IPIP.local,
      remote: undefined,
    });
    const lo = rtnetlink.links().find(({ loopback }) => loopback)!;
    assertEquals(rtnetlink.ipipSettings(lo.index), undefined);
  });

  test("makes no second ipip device for an address", (rtnetlink) => {
    rtnetlink.createIpip(IPIP);
    for (const wanted of [IPIP, { ...IPIP, name: "other" }]) {
      const error = assertThrows(
        () => rtnetlink.createIpip(wanted),
        NetlinkError,
      );
      assertEquals(error.errno, ERRNO.EEXIST);
    }
  });

  test("routes through an ipip device to an outer address", (rtnetlink) => {
    const { index } = rtnetlink.createIpip(IPIP);
    rtnetlink.ensureAddress(index, parseAddressWithPrefix("10.1.27.0/32")!);
    rtnetlink.changeLink(index, { up: true });
    rtnetlink.replaceRoute({
      destination: parseCidr("10.1.5.0/24")!,
      gateway: parseIpv4("192.0.2.12")!,
      interfaceIndex: index,
      onlink: true,
    });
    const { gateway, interfaceIndex } = rtnetlink.routeTo(
      parseIpv4("10.1.5.7")!,
    );
    assertEquals([gateway, interfaceIndex], [parseIpv4("192.0.2.12"), index]);
    rtnetlink.changeLink(index, { up: false });
    assertEquals(
      rtnetlink.routes().some((route) =>
        route.interfaceIndex === index &&
        route.type === "unicast"
      ),
      false,
    );
  });
}
