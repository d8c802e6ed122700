import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { listLinksRequest, parseLink } from "../../linux/netlink/link.ts";
import { NetlinkClient } from "../../linux/netlink/netlink_client.ts";
import { NetlinkSocket } from "../../linux/netlink/netlink_socket.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import { cidrOf, parseAddressWithPrefix, parseCidr } from "../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../net/ipv4.ts";
import { inNetworkNamespace } from "../../linux/network_namespace.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { untilOperUp } from "../support/oper_up.ts";
import {
  PAIR,
  rtnetlinkContract,
  type RtnetlinkWorld,
} from "./rtnetlink_contract.ts";

/** Lines with an IPv6 address and its device each; a kernel may be without IPv6. */
const IPV6_ADDRESSES = "/proc/net/if_inet6";

/** A network namespace that a device of this one was moved to. */
class OtherNamespace implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly path: string;

  private constructor(
    child: Deno.ChildProcess,
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ) {
    this.#child = child;
    this.#reader = reader;
    this.path = `/proc/${child.pid}/ns/net`;
  }

  static async with(deviceName: string): Promise<OtherNamespace> {
    const child = new Deno.Command("unshare", {
      args: ["--net", "sh", "-c", "echo ready; exec sleep 60"],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    runSync("ip", ["link", "set", deviceName, "netns", String(child.pid)]);
    return new OtherNamespace(child, reader);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

function hasIpv6(): boolean {
  return [...Deno.readDirSync("/proc/self/net")]
    .some(({ name }) => name === "if_inet6");
}

function kernelWorld(): RtnetlinkWorld & { rtnetlink: KernelRtnetlink } {
  const rtnetlink = new KernelRtnetlink();
  return {
    rtnetlink,
    addBridge(name) {
      runSync("ip", ["link", "add", name, "type", "bridge"]);
      return rtnetlink.links().find((link) => link.name === name)!.index;
    },
    [Symbol.dispose]() {
      for (const { index, loopback } of rtnetlink.links()) {
        if (!loopback) rtnetlink.deleteLink(index);
      }
      rtnetlink[Symbol.dispose]();
    },
  };
}

/** What only the kernel can show. */
function kernelTests(): void {
  const plugIn = (world: RtnetlinkWorld) => {
    const index = world.addBridge("br7");
    world.rtnetlink.ensureAddress(
      index,
      parseAddressWithPrefix("10.9.0.1/24")!,
    );
    world.rtnetlink.changeLink(index, { up: true });
    return index;
  };

  Deno.test("KernelRtnetlink lists thousands of routes, which come in many datagrams", () => {
    using world = kernelWorld();
    const interfaceIndex = plugIn(world);
    const count = 3000;
    for (let i = 0; i < count; i++) {
      world.rtnetlink.replaceRoute({
        destination: cidrOf(toIpv4(0x0a100000 + i * 256), 24),
        interfaceIndex,
      });
    }
    const found = world.rtnetlink.routes().filter(({ protocol }) =>
      protocol === 3
    );
    assertEquals(found.length, count);
    assertEquals(
      found.at(-1)!.destination.address,
      0x0a100000 + (count - 1) * 256,
    );
  });

  Deno.test("KernelRtnetlink passes on the kernel's own words", () => {
    using world = kernelWorld();
    const interfaceIndex = plugIn(world);
    const error = assertThrows(
      () =>
        world.rtnetlink.replaceRoute({
          destination: parseCidr("10.1.0.0/16")!,
          interfaceIndex,
          gateway: parseIpv4("192.0.2.1")!,
        }),
      NetlinkError,
    );
    assertEquals(
      error.message,
      `Cannot set the unicast route 10.1.0.0/16 via 192.0.2.1 through interface ${interfaceIndex}: ` +
        "the kernel answered ENETUNREACH: Nexthop has invalid gateway",
    );
  });

  Deno.test("KernelRtnetlink answers with the MTU of the path", () => {
    using world = kernelWorld();
    plugIn(world);
    runSync("ip", [
      "route",
      "add",
      "default",
      "via",
      "10.9.0.2",
      "mtu",
      "1400",
    ]);
    const answer = world.rtnetlink.routeTo(parseIpv4("192.0.2.1")!);
    assertEquals(answer.mtuBytes, 1400);
  });

  Deno.test("KernelRtnetlink makes pairs that give themselves no IPv6 address", () => {
    using world = kernelWorld();
    runSync("ip", ["link", "add", "plain", "type", "veth", "peer", "plainp"]);
    runSync("ip", ["link", "set", "plainp", "up"]);
    runSync("ip", ["link", "set", "plain", "up"]);
    const { link, peer } = world.rtnetlink.createVethPair(PAIR);
    for (const { index } of [link, peer]) {
      world.rtnetlink.changeLink(index, { up: true });
    }
    untilOperUp(world.rtnetlink, [link.index, peer.index]);
    if (!hasIpv6()) return;
    const withAddress = Deno.readTextFileSync(IPV6_ADDRESSES);
    assert(/ plain$/m.test(withAddress), withAddress);
    assert(!/ flannel0p?$/m.test(withAddress), withAddress);
  });

  Deno.test("KernelRtnetlink makes pairs whose MTU is too small for IPv6", () => {
    using world = kernelWorld();
    const { link } = world.rtnetlink.createVethPair({
      ...PAIR,
      mtuBytes: 1000,
      peerMtuBytes: 1000,
    });
    assertEquals(link.mtuBytes, 1000);
  });

  Deno.test("KernelRtnetlink knows no peer of a device whose peer is elsewhere", async () => {
    using world = kernelWorld();
    const { link, peer } = world.rtnetlink.createVethPair(PAIR);
    await using _other = await OtherNamespace.with(peer.name);
    const found = world.rtnetlink.links().find(({ index }) =>
      index === link.index
    );
    assertEquals(found?.peerIndex, undefined);
  });

  Deno.test("KernelRtnetlink finds the route of packets with a mark", () => {
    using world = kernelWorld();
    plugIn(world);
    runSync("ip", ["route", "add", "default", "via", "10.9.0.2"]);
    runSync("ip", "route add default via 10.9.0.3 table 7".split(" "));
    runSync("ip", "rule add fwmark 5 table 7".split(" "));
    const gateways = [{}, { mark: 5 }, { mark: 6 }].map((query) =>
      world.rtnetlink.routeTo(parseIpv4("192.0.2.1")!, query).gateway
    );
    runSync("ip", "rule delete fwmark 5 table 7".split(" "));
    const [usual, marked] = ["10.9.0.2", "10.9.0.3"].map(parseIpv4);
    assertEquals(gateways, [usual, marked, usual]);
  });

  Deno.test("KernelRtnetlink checks a packet that arrives as the kernel would", () => {
    using world = kernelWorld();
    const near = plugIn(world);
    const { link: far } = world.rtnetlink.createVethPair(PAIR);
    world.rtnetlink.changeLink(far.index, { up: true });
    runSync("ip", ["address", "add", "10.8.0.1/24", "dev", far.name]);
    const forwarding = "/proc/sys/net/ipv4/ip_forward";
    const filter = `/proc/sys/net/ipv4/conf/${far.name}/rp_filter`;
    const filterOfAll = "/proc/sys/net/ipv4/conf/all/rp_filter";
    const ask = (source: string) => {
      try {
        return world.rtnetlink.routeTo(parseIpv4("10.9.0.7")!, {
          source: parseIpv4(source)!,
          arrivesByIndex: far.index,
        }).interfaceIndex;
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        return error.code;
      }
    };
    Deno.writeTextFileSync(forwarding, "0");
    assertEquals(ask("10.8.0.7"), "linux.EHOSTUNREACH");
    Deno.writeTextFileSync(forwarding, "1");
    assertEquals(ask("10.8.0.7"), near);
    // The larger of the two values applies.
    Deno.writeTextFileSync(filterOfAll, "0");
    Deno.writeTextFileSync(filter, "1");
    assertEquals(ask("10.8.0.7"), near);
    // EXDEV before Linux 6.13.
    assertMatch(`${ask("10.9.0.8")}`, /^linux\.(EINVAL|EXDEV)$/);
    Deno.writeTextFileSync(filterOfAll, "2");
    Deno.writeTextFileSync(forwarding, "0");
  });

  Deno.test("KernelRtnetlink knows neighbours that do not answer", async () => {
    using world = kernelWorld();
    const near = plugIn(world);
    const silent = parseIpv4("10.9.0.9")!;
    const state = () =>
      world.rtnetlink.neighbourEntries(near)
        .find(({ address }) => address === silent)?.state;
    assertEquals(state(), undefined);
    runSync("sh", ["-c", "ping -c1 -W1 10.9.0.9 >/dev/null || true"]);
    assertEquals(state(), "incomplete");
    const deadlineMs = performance.now() + 10_000;
    while (state() !== "failed" && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assertEquals(state(), "failed");
    world.rtnetlink.replaceNeighbours([{
      interfaceIndex: near,
      address: silent,
      mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
    }]);
    assertEquals(state(), "permanent");
  });

  Deno.test("a look into another network namespace leaves this thread where it was", async () => {
    using world = kernelWorld();
    const { link, peer } = world.rtnetlink.createVethPair(PAIR);
    await using other = await OtherNamespace.with(peer.name);
    const there = inNetworkNamespace(other.path, () => {
      using rtnetlink = new KernelRtnetlink();
      return rtnetlink.links().find(({ name }) => name === peer.name);
    });
    using again = new KernelRtnetlink();
    const here = again.links().find(({ index }) => index === link.index);
    assertEquals(
      [there?.remoteIndex, here?.remoteIndex],
      [link.index, there?.index],
    );
  });

  Deno.test("KernelRtnetlink says how many of many routes were refused", () => {
    using world = kernelWorld();
    const destinations = ["10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24"];
    assertThrows(
      () =>
        world.rtnetlink.replaceRoutes(destinations.map((destination) => ({
          destination: parseCidr(destination)!,
          interfaceIndex: 9999,
        }))),
      NetlinkError,
      "Cannot set the unicast route 10.1.0.0/24 through interface 9999: " +
        "the kernel answered ENODEV: 2 more were refused",
    );
  });

  Deno.test("KernelRtnetlink tells routes with several next hops from others", () => {
    using world = kernelWorld();
    plugIn(world);
    runSync("ip", [
      ...["route", "add", "default"],
      ...["nexthop", "via", "10.9.0.2", "nexthop", "via", "10.9.0.3"],
    ]);
    const route = world.rtnetlink.routes().find(({ destination }) =>
      destination.prefixLength === 0
    )!;
    assertEquals([route.multipath, route.interfaceIndex], [true, undefined]);
  });

  Deno.test("a netlink socket makes room for an answer that is larger than its memory", () => {
    using client = new NetlinkClient(new NetlinkSocket(16));
    const links = client.list("list", listLinksRequest()).map(parseLink);
    assertEquals(links.map(({ name }) => name), ["lo"]);
  });

  Deno.test("a netlink socket closes its descriptors", () => {
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    const socket = new NetlinkSocket();
    socket.reset();
    assertEquals(descriptors(), before + 1);
    socket[Symbol.dispose]();
    socket[Symbol.dispose]();
    assertEquals(descriptors(), before);
  });
}

testInNamespace("KernelRtnetlink keeps its contract", import.meta.url, () => {
  rtnetlinkContract("KernelRtnetlink", kernelWorld);
  kernelTests();
});
