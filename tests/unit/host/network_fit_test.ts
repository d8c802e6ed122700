import { assertEquals } from "@std/assert";
import {
  findOverlaps,
  isServedAlready,
  readHostNetworks,
} from "../../../host/network_fit.ts";
import { NetworkOverlapError } from "../../../host/errors.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";

const network = parseCidr("10.1.0.0/16")!;

/** A host at 192.0.2.11 with a default route; `change` gives it more. */
function host(change: (rtnetlink: FakeRtnetlink, eth0: number) => void) {
  const rtnetlink = new FakeRtnetlink();
  const eth0 = rtnetlink.addLink({ name: "eth0", up: true }).index;
  rtnetlink.addAddress(eth0, "192.0.2.11/24");
  rtnetlink.addRoute({
    destination: parseCidr("0.0.0.0/0")!,
    gateway: parseIpv4("192.0.2.1")!,
    interfaceIndex: eth0,
  });
  change(rtnetlink, eth0);
  return readHostNetworks(rtnetlink);
}

const via = (text: string, gateway: string, interfaceIndex: number) => ({
  destination: parseCidr(text)!,
  gateway: parseIpv4(gateway)!,
  interfaceIndex,
});

for (
  const { title, change, found } of [
    {
      title: "a host with other addresses has room",
      change: () => {},
      found: [],
    },
    {
      title: "an underlay within the network is a conflict, named once",
      change: (rtnetlink: FakeRtnetlink, eth0: number) =>
        rtnetlink.addAddress(eth0, "10.1.7.5/24"),
      found: [["conflict", "10.1.7.0/24 dev eth0"]],
    },
    {
      title: "an underlay around the network is a conflict",
      change: (rtnetlink: FakeRtnetlink, eth0: number) =>
        rtnetlink.addAddress(eth0, "10.0.0.5/8"),
      found: [["conflict", "10.0.0.0/8 dev eth0"]],
    },
    {
      title: "an underlay on a bridge is no container's bridge",
      change: (rtnetlink: FakeRtnetlink) => {
        const br0 =
          rtnetlink.addLink({ name: "br0", kind: "bridge", up: true }).index;
        rtnetlink.addAddress(br0, "10.1.7.5/24");
        rtnetlink.addRoute(via("198.51.100.0/24", "10.1.7.1", br0));
      },
      found: [["conflict", "10.1.7.0/24 dev br0"]],
    },
    {
      title: "a route over a gateway to a part of the network is a conflict",
      change: (rtnetlink: FakeRtnetlink, eth0: number) =>
        rtnetlink.addRoute(via("10.1.9.0/24", "192.0.2.9", eth0)),
      found: [["conflict", "10.1.9.0/24 via 192.0.2.9 dev eth0"]],
    },
    {
      title: "a wider route over a gateway loses a part of its addresses",
      change: (rtnetlink: FakeRtnetlink, eth0: number) =>
        rtnetlink.addRoute(via("10.0.0.0/8", "192.0.2.9", eth0)),
      found: [["takeover", "10.0.0.0/8 via 192.0.2.9 dev eth0"]],
    },
    {
      title: "a default route in two halves loses nothing",
      change: (rtnetlink: FakeRtnetlink, eth0: number) =>
        rtnetlink.addRoute(via("0.0.0.0/1", "192.0.2.9", eth0)),
      found: [],
    },
    {
      title: "one address without a subnet is a conflict",
      change: (rtnetlink: FakeRtnetlink) =>
        rtnetlink.addAddress(
          rtnetlink.addLink({ name: "vip0", up: true }).index,
          "10.1.0.9/32",
        ),
      found: [["conflict", "10.1.0.9/32 dev vip0"]],
    },
    {
      title: "Docker's bridge on a subnet, and overlays' devices, are expected",
      change: (rtnetlink: FakeRtnetlink) => {
        for (
          const [name, kind, address] of [
            ["docker0", "bridge", "10.1.5.1/24"],
            ["loden0", "bridge", "10.1.6.1/24"],
            ["flannel0", "veth", "10.1.5.0/16"],
            ["flannel.1", "vxlan", "10.1.5.0/32"],
          ] as const
        ) {
          const { index } = rtnetlink.addLink({ name, kind, up: true });
          rtnetlink.addAddress(index, address);
        }
      },
      found: [],
    },
    {
      title: "a docker0 that takes the whole network is a conflict",
      change: (rtnetlink: FakeRtnetlink) =>
        rtnetlink.addAddress(
          rtnetlink.addLink({ name: "docker0", kind: "bridge", up: true })
            .index,
          "10.1.0.1/16",
        ),
      found: [["conflict", "10.1.0.0/16 dev docker0"]],
    },
  ]
) {
  Deno.test(title, () => {
    const overlaps = findOverlaps(network, host(change));
    assertEquals(overlaps.map(({ kind, text }) => [kind, text]), found);
  });
}

Deno.test("the command that makes room names what ip(8) needs", () => {
  const [overlap] = findOverlaps(
    network,
    host((rtnetlink, eth0) =>
      rtnetlink.addRoute(via("10.1.9.0/24", "192.0.2.9", eth0))
    ),
  );
  assertEquals(
    overlap?.fix,
    "ip route del 10.1.9.0/24 via 192.0.2.9 dev eth0",
  );
});

Deno.test("no command is offered that would cut the host off", () => {
  const [overlap] = findOverlaps(
    network,
    host((rtnetlink, eth0) => rtnetlink.addAddress(eth0, "10.1.7.5/24")),
  );
  assertEquals(overlap?.fix, undefined);
  assertEquals(
    new NetworkOverlapError(network, [overlap!]).hint,
    "publish another Network and restart the agent",
  );
});

Deno.test("a network whose safety route is there has been running", () => {
  const withRoute = (metric: number) =>
    host((rtnetlink) =>
      rtnetlink.replaceRoute({
        destination: network,
        type: "unreachable",
        metric,
      })
    );
  assertEquals(isServedAlready(network, withRoute(0xffff_0000)), true);
  assertEquals(isServedAlready(network, withRoute(5)), false);
});
