import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lookAtUnderlay } from "../../../../host/underlay/underlay_look.ts";
import { pickUnderlay } from "../../../../host/underlay/interface_picker.ts";
import type { Link } from "../../../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const NO_OPTIONS = {
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: "",
  publicIp: "",
};
const BY_NAME = { ...NO_OPTIONS, iface: ["eth0"] };

/** What a device is, and its addresses. */
type Device = Partial<Link> & { name: string; addresses?: string[] };

const ETH0: Device = {
  index: 2,
  name: "eth0",
  up: true,
  addresses: ["192.0.2.10/24"],
};
const ETH1: Device = {
  index: 3,
  name: "eth1",
  up: true,
  addresses: ["10.0.0.10/24"],
};

/** @param defaultBy the index of the device with the default route. */
function host(devices: readonly Device[], defaultBy?: number): FakeRtnetlink {
  const rtnetlink = new FakeRtnetlink();
  for (const { addresses = [], ...link } of devices) {
    const { index } = rtnetlink.addLink(link);
    for (const address of addresses) rtnetlink.addAddress(index, address);
  }
  if (defaultBy !== undefined) {
    rtnetlink.replaceRoute({
      destination: parseCidr("0.0.0.0/0")!,
      interfaceIndex: defaultBy,
      gateway: parseIpv4(defaultBy === 2 ? "192.0.2.1" : "10.0.0.1")!,
    });
  }
  return rtnetlink;
}

/** The finding in one line, for a host that started with eth0 in use. */
function found(
  devices: readonly Device[],
  options = BY_NAME,
  defaultBy?: number,
): string {
  const before = pickUnderlay(BY_NAME, host([ETH0, ETH1]));
  const current = {
    ...before,
    publicIp: parseIpv4(options.publicIp) ?? before.publicIp,
  };
  const finding = lookAtUnderlay(current, options, host(devices, defaultBy));
  if (finding.kind === "unusable") return finding.reason;
  const { address, interfaceIndex, interfaceName, mtuBytes, publicIp } =
    finding.underlay;
  const text = `${finding.kind}: ${interfaceName} (${interfaceIndex}) ` +
    `${formatIpv4(address)} ${mtuBytes}`;
  return publicIp === address ? text : `${text} as ${formatIpv4(publicIp)}`;
}

Deno.test("an underlay that has not changed is the same", () => {
  assertEquals(found([ETH0, ETH1]), "same: eth0 (2) 192.0.2.10 1500");
});

Deno.test("another MTU and another name are followed on the same interface", () => {
  assertEquals(
    found([{ ...ETH0, name: "lan0", mtuBytes: 1400 }]),
    "same: lan0 (2) 192.0.2.10 1400",
  );
});

Deno.test("an interface that comes first by the options is no reason to leave one that works", () => {
  assertEquals(
    found([ETH0, ETH1], { ...NO_OPTIONS, iface: ["eth1", "eth0"] }),
    "same: eth0 (2) 192.0.2.10 1500",
  );
  assertEquals(
    found([ETH0, ETH1], NO_OPTIONS, 3),
    "same: eth0 (2) 192.0.2.10 1500",
  );
});

Deno.test("an address that came beside the one in use changes nothing", () => {
  const addresses = ["192.0.2.9/24", "192.0.2.10/24"];
  assertEquals(
    found([{ ...ETH0, addresses }]),
    "same: eth0 (2) 192.0.2.10 1500",
  );
});

Deno.test("another address is followed, and the one by which others reach this host with it", () => {
  const eth0 = { ...ETH0, addresses: ["192.0.2.77/24"] };
  assertEquals(found([eth0]), "moved: eth0 (2) 192.0.2.77 1500");
});

Deno.test("--public-ip stays whatever the address is", () => {
  const eth0 = { ...ETH0, addresses: ["192.0.2.77/24"] };
  assertEquals(
    found([eth0], { ...BY_NAME, publicIp: "198.51.100.1" }),
    "moved: eth0 (2) 192.0.2.77 1500 as 198.51.100.1",
  );
});

Deno.test("an interface that was created again is followed by its name", () => {
  assertEquals(
    found([ETH1, { ...ETH0, index: 9 }]),
    "moved: eth0 (9) 192.0.2.10 1500",
  );
});

Deno.test("an address that went to a bridge is followed by the address", () => {
  const bridge = { ...ETH0, index: 9, name: "br0" };
  assertEquals(
    found([{ ...ETH0, addresses: [] }, bridge], {
      ...NO_OPTIONS,
      iface: ["192.0.2.10"],
    }),
    "moved: br0 (9) 192.0.2.10 1500",
  );
});

Deno.test("an interface that is down or without a carrier is named, with what would help", () => {
  assertEquals(
    found([{ ...ETH0, up: false }, ETH1]),
    "eth0 must be up: ip link set eth0 up",
  );
  assertEquals(
    found([{ ...ETH0, carrier: false }, ETH1]),
    "eth0 must have a carrier: check its cable and the other end",
  );
});

Deno.test("without options, a host whose interface is down uses its other default route", () => {
  assertEquals(
    found([{ ...ETH0, up: false }, ETH1], NO_OPTIONS, 3),
    "moved: eth1 (3) 10.0.0.10 1500",
  );
  assertEquals(
    found([{ ...ETH0, up: false }, ETH1], NO_OPTIONS),
    "eth0 must be up: ip link set eth0 up",
  );
});

Deno.test("an interface that is gone is named, with why no other one is used", () => {
  assertEquals(
    found([ETH1]),
    "eth0 is gone: Cannot choose the interface: --iface must be the name or an " +
      "IPv4 address of an interface of this host: current value is eth0 " +
      "(this host has eth1 (10.0.0.10))",
  );
  assertStringIncludes(
    found([{ ...ETH0, index: 9, addresses: [] }, ETH1], NO_OPTIONS),
    "Cannot choose the interface: the main routing table",
  );
  assert(!found([{ ...ETH0, index: 9, addresses: [] }]).includes("gone"));
});

Deno.test("an interface that has no address or too small an MTU says so as at the start", () => {
  assertStringIncludes(
    found([{ ...ETH0, addresses: [] }, ETH1]),
    "interface eth0: it must have an IPv4 address",
  );
  assertStringIncludes(
    found([{ ...ETH0, mtuBytes: 90 }]),
    "current value is 90",
  );
});
