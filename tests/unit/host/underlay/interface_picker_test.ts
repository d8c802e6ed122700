import { assertEquals, assertThrows } from "@std/assert";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { describeError } from "../../../../errors.ts";
import {
  BadInterfaceOptionError,
  CannotReachError,
  InterfaceError,
  InterfaceMtuError,
  InterfaceNotFoundError,
  NoDefaultRouteError,
  NoInterfaceAddressError,
  NoInterfaceMatchedError,
} from "../../../../host/underlay/interface_errors.ts";
import {
  type InterfaceOptions,
  pickUnderlay,
} from "../../../../host/underlay/interface_picker.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import { NetlinkError } from "../../../../linux/netlink/errors.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const DEFAULT = parseCidr("0.0.0.0/0")!;

/**
 * eth0 192.0.2.10/24 (index 2), with the default route unless told otherwise;
 * eth1 10.0.0.10/24 (index 3); wlan0 without an address (index 4).
 */
function host(options: { defaultRoute?: boolean } = {}): FakeRtnetlink {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "eth0", up: true });
  rtnetlink.addAddress(2, "192.0.2.10/24");
  rtnetlink.addLink({ name: "eth1", up: true, mtuBytes: 9000 });
  rtnetlink.addAddress(3, "10.0.0.10/24");
  rtnetlink.addLink({ name: "wlan0" });
  if (options.defaultRoute ?? true) {
    rtnetlink.replaceRoute({
      destination: DEFAULT,
      gateway: parseIpv4("192.0.2.1")!,
      metric: 100,
    });
  }
  return rtnetlink;
}

const given = (options: Partial<InterfaceOptions>): InterfaceOptions => ({
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: "",
  publicIp: "",
  ...options,
});

/** `eth0 192.0.2.10`, and the public address when it is another one. */
function picked(
  options: Partial<InterfaceOptions>,
  rtnetlink = host(),
): string {
  const underlay = pickUnderlay(given(options), rtnetlink);
  const words = [underlay.interfaceName, formatIpv4(underlay.address)];
  if (underlay.publicIp !== underlay.address) {
    words.push(formatIpv4(underlay.publicIp));
  }
  return words.join(" ");
}

Deno.test("without options the default route's interface is taken, with all that belongs to it", () => {
  const rtnetlink = host();
  assertEquals(pickUnderlay(given({}), rtnetlink), {
    interfaceName: "eth0",
    interfaceIndex: 2,
    address: parseIpv4("192.0.2.10")!,
    publicIp: parseIpv4("192.0.2.10")!,
    mtuBytes: 1500,
    mac: rtnetlink.links()[1]!.mac,
  } as ReturnType<typeof pickUnderlay>);
});

Deno.test("of several default routes the one with the lowest metric counts", () => {
  const rtnetlink = host();
  rtnetlink.replaceRoute({
    destination: DEFAULT,
    interfaceIndex: 3,
    metric: 50,
  });
  assertEquals(picked({}, rtnetlink), "eth1 10.0.0.10");
});

Deno.test("default routes of other tables and those that lead nowhere do not count", () => {
  const rtnetlink = host({ defaultRoute: false });
  rtnetlink.addRoute({ destination: DEFAULT, table: 100, interfaceIndex: 3 });
  rtnetlink.replaceRoute({ destination: DEFAULT, type: "unreachable" });
  const error = assertThrows(
    () => pickUnderlay(given({}), rtnetlink),
    NoDefaultRouteError,
  );
  assertEquals(
    describeError(error),
    "Cannot choose the interface: the main routing table must have an IPv4 " +
      "default route through one interface: there is none (add one or name " +
      "the interface with --iface; this host has eth0 (192.0.2.10), " +
      "eth1 (10.0.0.10), wlan0)",
  );
  assertEquals(error.retryable, true);
});

Deno.test("a default route with several next hops does not say which interface", () => {
  const rtnetlink = host({ defaultRoute: false });
  rtnetlink.addRoute({ destination: DEFAULT, multipath: true });
  assertThrows(
    () => pickUnderlay(given({}), rtnetlink),
    NoDefaultRouteError,
    "it has several next hops",
  );
});

Deno.test("a default route whose interface has just gone is waited for", () => {
  const rtnetlink = host({ defaultRoute: false });
  rtnetlink.addRoute({ destination: DEFAULT, interfaceIndex: 77 });
  const error = assertThrows(
    () => pickUnderlay(given({}), rtnetlink),
    NoDefaultRouteError,
    "its interface is not there",
  );
  assertEquals(error.retryable, true);
});

Deno.test("an interface is found by its name, whatever its state", () => {
  const rtnetlink = host();
  rtnetlink.changeLink(3, { up: false });
  assertEquals(picked({ iface: ["eth1"] }, rtnetlink), "eth1 10.0.0.10");
});

Deno.test("an interface is found by any address that it has, and that address is used", () => {
  const rtnetlink = host();
  rtnetlink.addAddress(3, "10.0.0.11/24", { deprecated: true });
  assertEquals(picked({ iface: ["10.0.0.11"] }, rtnetlink), "eth1 10.0.0.11");
  assertEquals(picked({ iface: ["127.0.0.1"] }), "lo 127.0.0.1");
});

Deno.test("of two interfaces with one address the lower index counts, in whatever order they are listed", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "late", index: 9 });
  rtnetlink.addAddress(9, "10.0.0.10/24");
  rtnetlink.addLink({ name: "early", index: 5 });
  rtnetlink.addAddress(5, "10.0.0.10/24");
  assertEquals(picked({ iface: ["10.0.0.10"] }, rtnetlink), "early 10.0.0.10");
});

Deno.test("an interface that is not there is named, with those that are and the flag", () => {
  for (const value of ["eth9", "203.0.113.1", "010.0.0.10", "fe80::1"]) {
    const error = assertThrows(
      () => pickUnderlay(given({ iface: [value] }), host()),
      InterfaceNotFoundError,
    );
    assertEquals(
      describeError(error),
      "Cannot choose the interface: --iface must be the name or an IPv4 " +
        `address of an interface of this host: current value is ${value} ` +
        "(this host has eth0 (192.0.2.10), eth1 (10.0.0.10), wlan0)",
    );
    assertEquals(error.retryable, true);
  }
});

Deno.test("a host with nothing but its loopback says so", () => {
  assertThrows(
    () => pickUnderlay(given({}), new FakeRtnetlink()),
    NoDefaultRouteError,
  );
  const error = assertThrows(
    () => pickUnderlay(given({ iface: ["eth0"] }), new FakeRtnetlink()),
    InterfaceNotFoundError,
  );
  assertEquals(error.hint, "this host has none but the loopback interface");
});

Deno.test("of a hundred interfaces only ten are listed", () => {
  const rtnetlink = host();
  for (let i = 0; i < 100; i++) rtnetlink.addLink({ name: `veth${i}` });
  const error = assertThrows(
    () => pickUnderlay(given({ iface: ["eth9"] }), rtnetlink),
    InterfaceNotFoundError,
  );
  assertEquals(error.hint?.endsWith("veth5, veth6 and 93 more"), true);
});

Deno.test("the best address of a named interface is used", () => {
  const best = (
    ...addresses: [string, Parameters<FakeRtnetlink["addAddress"]>[2]][]
  ) => {
    const rtnetlink = new FakeRtnetlink();
    rtnetlink.addLink({ name: "eth0" });
    for (const [text, overrides] of addresses) {
      rtnetlink.addAddress(2, text, overrides);
    }
    return picked({ iface: ["eth0"] }, rtnetlink);
  };
  assertEquals(
    best(["169.254.1.1/16", {}], ["10.0.0.1/24", { permanent: false }]),
    "eth0 10.0.0.1",
    "global before link-local",
  );
  assertEquals(
    best(["10.0.0.1/24", { permanent: false }], ["10.0.1.1/24", {}]),
    "eth0 10.0.1.1",
    "permanent before dynamic",
  );
  assertEquals(
    best(["10.0.0.1/24", { secondary: true }], ["10.0.1.1/24", {}]),
    "eth0 10.0.1.1",
    "primary before secondary",
  );
  assertEquals(
    best(["10.0.0.1/24", { deprecated: true }], ["169.254.1.1/16", {}]),
    "eth0 169.254.1.1",
    "link-local before deprecated",
  );
  assertEquals(
    best(["10.0.2.1/24", {}], ["10.0.1.1/24", {}]),
    "eth0 10.0.2.1",
    "else as the kernel lists them",
  );
});

Deno.test("an interface without a usable address is refused, to be tried again", () => {
  const rtnetlink = host();
  rtnetlink.addAddress(4, "10.0.4.1/24", { deprecated: true });
  for (const name of ["wlan0", "lo"]) {
    const error = assertThrows(
      () => pickUnderlay(given({ iface: [name] }), rtnetlink),
      NoInterfaceAddressError,
      `Cannot use interface ${name}`,
    );
    assertEquals(error.retryable, true);
  }
});

Deno.test("of a port without an address, the bond that may have one is named", () => {
  const rtnetlink = host();
  const bond = rtnetlink.addLink({ name: "bond0", kind: "bond", up: true });
  rtnetlink.addLink({ name: "port0", masterIndex: bond.index, up: true });
  const error = assertThrows(
    () => pickUnderlay(given({ iface: ["port0"] }), rtnetlink),
    NoInterfaceAddressError,
  );
  assertEquals(error.hint, "port0 is a port of bond0: use --iface=bond0");
});

Deno.test("a VRF is not named in place of an interface that belongs to it", () => {
  const rtnetlink = host();
  const vrf = rtnetlink.addLink({ name: "blue", kind: "vrf", up: true });
  rtnetlink.addLink({ name: "port0", masterIndex: vrf.index, up: true });
  const error = assertThrows(
    () => pickUnderlay(given({ iface: ["port0"] }), rtnetlink),
    NoInterfaceAddressError,
  );
  assertEquals(
    error.hint,
    "give port0 one or name another interface with --iface",
  );
});

Deno.test("options are tried in order: names, patterns, then the route", () => {
  const all = {
    iface: ["eth9", "eth1"],
    ifaceRegex: ["^eth0$"],
    ifaceCanReach: "192.0.2.77",
  };
  assertEquals(picked(all), "eth1 10.0.0.10");
  assertEquals(picked({ ...all, iface: ["eth9"] }), "eth0 192.0.2.10");
  assertEquals(
    picked({ ...all, iface: ["eth9", "wlan0"], ifaceRegex: ["^eth[78]$"] }),
    "eth0 192.0.2.10",
  );
});

Deno.test("a pattern matches an address of any interface before the name of one", () => {
  // wlan0 matches by its name, eth0 by its address.
  const rtnetlink = host();
  rtnetlink.addAddress(4, "10.0.4.1/24");
  assertEquals(
    picked({ ifaceRegex: ["wlan|2\\.10"] }, rtnetlink),
    "eth0 192.0.2.10",
  );
  assertEquals(
    picked({ ifaceRegex: ["wlan|eth"] }, rtnetlink),
    "eth0 192.0.2.10",
  );
  assertEquals(picked({ ifaceRegex: ["lan"] }, rtnetlink), "wlan0 10.0.4.1");
});

Deno.test("a pattern is not anchored and the lowest index wins", () => {
  assertEquals(picked({ ifaceRegex: ["0\\.10"] }), "eth1 10.0.0.10");
  assertEquals(picked({ ifaceRegex: ["th"] }), "eth0 192.0.2.10");
  assertEquals(picked({ ifaceRegex: ["(?i:^ETH1$)"] }), "eth1 10.0.0.10");
});

Deno.test("a pattern uses the address that it matched, and sees no unusable one", () => {
  const rtnetlink = host();
  rtnetlink.addAddress(3, "10.0.0.11/24");
  assertEquals(picked({ ifaceRegex: ["\\.11$"] }, rtnetlink), "eth1 10.0.0.11");
  assertThrows(
    () => pickUnderlay(given({ ifaceRegex: ["^127"] }), rtnetlink),
    InterfaceNotFoundError,
    "--iface-regex must match an IPv4 address or the name of an interface of " +
      "this host: current value is ^127",
  );
});

Deno.test("a broken pattern fails alone; alone it is not worth waiting for", () => {
  assertEquals(picked({ ifaceRegex: ["eth(", "eth1"] }), "eth1 10.0.0.10");
  const error = assertThrows(
    () => pickUnderlay(given({ ifaceRegex: ["eth("] }), host()),
    BadInterfaceOptionError,
  );
  assertEquals(error.retryable, false);
  assertEquals(error.cause instanceof SyntaxError, true);
});

Deno.test("the route to an address gives the interface and its source address", () => {
  assertEquals(picked({ ifaceCanReach: "8.8.8.8" }), "eth0 192.0.2.10");
  assertEquals(picked({ ifaceCanReach: "10.0.0.77" }), "eth1 10.0.0.10");
  const rtnetlink = host();
  rtnetlink.addAddress(3, "10.0.5.1/24");
  rtnetlink.replaceRoute({
    destination: parseCidr("203.0.113.0/24")!,
    interfaceIndex: 3,
    preferredSource: parseIpv4("10.0.5.1")!,
  });
  assertEquals(
    picked({ ifaceCanReach: "203.0.113.5" }, rtnetlink),
    "eth1 10.0.5.1",
  );
});

Deno.test("the route to an own address gives the interface that has it", () => {
  assertEquals(picked({ ifaceCanReach: "10.0.0.10" }), "eth1 10.0.0.10");
});

Deno.test("an address without a route is refused, to be tried again", () => {
  const error = assertThrows(
    () =>
      pickUnderlay(
        given({ ifaceCanReach: "203.0.113.5" }),
        host({ defaultRoute: false }),
      ),
    CannotReachError,
    "--iface-can-reach must be an address that this host has a route to: " +
      "current value is 203.0.113.5",
  );
  assertEquals(error.retryable, true);
  assertEquals((error.cause as NetlinkError).errno, ERRNO.ENETUNREACH);
});

Deno.test("a value that must be an address and is none is not worth waiting for", () => {
  for (
    const options of [
      { ifaceCanReach: "etcd.example" },
      { publicIp: "300.1.1.1" },
      { iface: ["eth0"], publicIp: "::1" },
    ]
  ) {
    const error = assertThrows(
      () => pickUnderlay(given(options), host()),
      BadInterfaceOptionError,
      "must be an IPv4 address",
    );
    assertEquals(error.retryable, false);
  }
});

Deno.test("a public address goes with any interface", () => {
  assertEquals(
    picked({ iface: ["eth1"], publicIp: "198.51.100.7" }),
    "eth1 10.0.0.10 198.51.100.7",
  );
});

Deno.test("a public address alone chooses the interface that has it", () => {
  assertEquals(picked({ publicIp: "10.0.0.10" }), "eth1 10.0.0.10");
});

Deno.test("a public address alone that no interface has goes with the default route", () => {
  assertEquals(
    picked({ publicIp: "198.51.100.7" }),
    "eth0 192.0.2.10 198.51.100.7",
  );
});

Deno.test("when all options fail each reason is told, and waiting helps if it helps one", () => {
  const error: NoInterfaceMatchedError = assertThrows(
    () => pickUnderlay(given({ iface: ["eth9"], ifaceRegex: ["("] }), host()),
    NoInterfaceMatchedError,
  );
  assertEquals(error.failures.map(({ code }) => code), [
    "host.interface-not-found",
    "host.interface-option",
  ]);
  assertEquals(
    error.message,
    "Cannot choose the interface: one of the options must match: " +
      error.failures.map(({ message }, i) => `${i + 1}. ${message}`).join("; "),
  );
  assertEquals(error.retryable, true);
  const hopeless = assertThrows(
    () => pickUnderlay(given({ ifaceRegex: ["(", ")"] }), host()),
    NoInterfaceMatchedError,
  );
  assertEquals(hopeless.retryable, false);
});

Deno.test("no option is left for the default route when all fail", () => {
  assertThrows(
    () => pickUnderlay(given({ iface: ["eth9"] }), host()),
    InterfaceError,
  );
});

Deno.test("an MTU that leaves no room for a packet is refused", () => {
  for (const mtuBytes of [0, 95]) {
    const rtnetlink = host();
    rtnetlink.changeLink(2, { mtuBytes });
    assertThrows(
      () => pickUnderlay(given({}), rtnetlink),
      InterfaceMtuError,
      `its MTU must be 96 bytes or more, 28 of outer headers and 68 that any ` +
        `IPv4 network carries (RFC 791): current value is ${mtuBytes}`,
    );
    assertEquals(
      picked({ iface: ["eth0", "eth1"] }, rtnetlink),
      "eth1 10.0.0.10",
    );
  }
  const rtnetlink = host();
  rtnetlink.changeLink(2, { mtuBytes: 96 });
  assertEquals(picked({}, rtnetlink), "eth0 192.0.2.10");
});

Deno.test("what the kernel refuses to tell is passed on", () => {
  const rtnetlink = host();
  rtnetlink.links = () => {
    throw new NetlinkError("list the network interfaces", ERRNO.EPERM);
  };
  assertThrows(() => pickUnderlay(given({}), rtnetlink), NetlinkError);
});

Deno.test("options that failed before the one that led somewhere are in the log", async () => {
  const records: LogRecord[] = [];
  await configure({
    sinks: { memory: (record) => void records.push(record) },
    loggers: [
      { category: ["loden"], lowestLevel: "info", sinks: ["memory"] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    pickUnderlay(given({ iface: ["eth9", "eth1"] }), host());
  } finally {
    await reset();
  }
  assertEquals(records.length, 1);
  assertEquals(records[0]!.properties.event, "underlay.option-failed");
  assertEquals(records[0]!.properties.code, "host.interface-not-found");
  assertEquals(records[0]!.properties.chosen, "eth1");
});
