/**
 * By which interface a packet of a peer may arrive, by the kernel's own routing.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { arrivalKey } from "../../backend/udp/ebpf/maps.ts";
import type { HostConstants } from "../../backend/udp/ebpf/programs/constants.ts";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { ProgramWorld, UNDERLAY } from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { arriving, HOLDERS, inner } from "./packet_fates_contract.ts";

const PEER = HOLDERS[0]!;
const PEER_ADDRESS = formatIpv4(PEER.publicIp);
const WRONG = { "rx.drop.wrongInterface": 1 };
const MERGED_BYTES = 68;

testInNamespace("arriving interfaces", import.meta.url, () => {
  const ip = (line: string) => runSync("ip", line.split(" "));
  const rtnetlink = new KernelRtnetlink();
  const indexOf = (name: string) =>
    rtnetlink.links().find((link) => link.name === name)!.index;
  // A private network with the peer, another one, and a public one, by which
  // everything else is reached.
  for (const [index, name] of ["private", "other", "public"].entries()) {
    ip(`link add ${name} address ${UNDERLAY.mac} type veth peer name ${name}p`);
    ip(`address add 10.${index}.0.1/24 dev ${name}`);
    ip(`link set ${name}p up`);
    ip(`link set ${name} up`);
  }
  runSync("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
  ip(`route add ${PEER_ADDRESS}/32 dev private`);
  ip("route add default dev public");

  /** What becomes of the peer's packet that arrives by an interface. */
  function fateBy(
    name: string,
    host: Partial<HostConstants> = {},
    prepare: (world: ProgramWorld) => void = () => {},
  ): { verdict: number; counters: Readonly<Record<string, number>> } {
    const interfaceIndex = indexOf("private");
    using world = new ProgramWorld(host, [{ ...PEER, interfaceIndex }]);
    prepare(world);
    const { counters, verdict } = world.run("rx", arriving(inner()), {
      interfaceIndex: indexOf(name),
    });
    return { counters, verdict };
  }
  const TAKEN = {
    verdict: VERDICT.REDIRECT,
    counters: { "rx.packets": 1, "rx.bytes": inner().length },
  };
  const DROPPED = { verdict: VERDICT.DROP, counters: WRONG };

  Deno.test("a peer's packet is taken from the interface by which it is reached", () => {
    assertEquals(fateBy("private"), TAKEN);
  });

  Deno.test("the interface of the default route does not speak for a peer behind another one", () => {
    assertEquals(fateBy("public"), DROPPED);
    assertEquals(fateBy("other"), DROPPED);
  });

  Deno.test("another next hop of the peer's route speaks for it", () => {
    assertEquals(
      fateBy("other", {}, ({ maps }) =>
        maps.loden_arrivals.update(
          arrivalKey(PEER.publicIp, indexOf("other")),
          Uint8Array.of(1, 0, 0, 0),
        )),
      TAKEN,
    );
  });

  Deno.test("after a fail-over the interface of the new route speaks for it, although no agent has told", () => {
    ip(`route replace ${PEER_ADDRESS}/32 dev other`);
    assertEquals(fateBy("other"), TAKEN);
    assertEquals(fateBy("public"), DROPPED);
    ip(`route replace ${PEER_ADDRESS}/32 dev private`);
    assertEquals(fateBy("other"), DROPPED);
  });

  Deno.test("an interface that may not forward is not asked for", () => {
    ip(`route replace ${PEER_ADDRESS}/32 dev other`);
    runSync("sysctl", ["-qw", "net.ipv4.conf.public.forwarding=0"]);
    assertEquals(fateBy("public"), DROPPED);
    runSync("sysctl", ["-qw", "net.ipv4.conf.public.forwarding=1"]);
    ip(`route replace ${PEER_ADDRESS}/32 dev private`);
  });

  Deno.test("where a person has switched the check off, every interface speaks for every peer", () => {
    assertEquals(fateBy("public", { checksInterface: false }), TAKEN);
    assertEquals(fateBy("public", { senderCheck: "off" }), TAKEN);
  });

  Deno.test("with the sender check count a wrong interface is counted, and the packet passes", () => {
    assertEquals(fateBy("public", { senderCheck: "count" }), {
      ...TAKEN,
      counters: { ...TAKEN.counters, "rx.senderMismatchPassed": 1 },
    });
  });

  Deno.test("merged datagrams are looked at as one", () => {
    const interfaceIndex = indexOf("private");
    using world = new ProgramWorld({}, [{ ...PEER, interfaceIndex }]);
    const merged = arriving(Uint8Array.of(...inner(), ...inner()));
    const fate = (name: string) =>
      world.run("rx", merged, {
        segments: 2,
        segmentBytes: MERGED_BYTES,
        interfaceIndex: indexOf(name),
      }).counters;
    assertEquals(fate("public"), WRONG);
    assertEquals(fate("private"), { "rx.aggregates": 1 });
  });

  Deno.test("the kernel names all next hops of a route", () => {
    ip("route add 10.9.0.0/16 nexthop dev private nexthop dev other");
    assertEquals(
      rtnetlink.nextHops(PEER.publicIp),
      [indexOf("private")],
    );
    const multipath = rtnetlink.routes().find((route) => route.multipath);
    assertEquals(multipath?.nextHopDevices, [
      indexOf("private"),
      indexOf("other"),
    ]);
  });
});
