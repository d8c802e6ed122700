import { assertEquals } from "@std/assert";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelRtnetlinkMonitor } from "../../linux/netlink/kernel_rtnetlink_monitor.ts";
import { cidrOf, parseAddressWithPrefix } from "../../net/cidr.ts";
import { toIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { rtnetlinkMonitorContract } from "./rtnetlink_monitor_contract.ts";

function world() {
  const rtnetlink = new KernelRtnetlink();
  runSync("ip", ["link", "add", "br7", "type", "bridge"]);
  const interfaceIndex = rtnetlink.links().at(-1)!.index;
  rtnetlink.changeLink(interfaceIndex, { up: true });
  const monitor = new KernelRtnetlinkMonitor();
  let count = 0;
  return {
    monitor,
    rtnetlink,
    interfaceIndex,
    changeLink: () =>
      rtnetlink.changeLink(interfaceIndex, { alias: `alias ${++count}` }),
    putRoute: () =>
      rtnetlink.replaceRoute({
        destination: cidrOf(toIpv4(0x0a100000 + 256 * ++count), 24),
        interfaceIndex,
      }),
    addAddress: () => {
      rtnetlink.ensureAddress(
        interfaceIndex,
        parseAddressWithPrefix("10.9.0.1/24")!,
      );
    },
    [Symbol.dispose]() {
      monitor[Symbol.dispose]();
      rtnetlink.deleteLink(interfaceIndex);
      rtnetlink[Symbol.dispose]();
    },
  };
}

testInNamespace(
  "KernelRtnetlinkMonitor keeps its contract",
  import.meta.url,
  () => {
    rtnetlinkMonitorContract("KernelRtnetlinkMonitor", world);

    Deno.test("KernelRtnetlinkMonitor takes lost notifications for a change of everything", async () => {
      using host = world();
      host.rtnetlink.replaceRoutes(
        Array.from({ length: 3000 }, (_, number) => ({
          destination: cidrOf(toIpv4(0x0a100000 + number * 256), 24),
          interfaceIndex: host.interfaceIndex,
        })),
      );
      const changes = host.monitor.changes(new AbortController().signal);
      const { value } = await changes.next();
      assertEquals([...value!].toSorted(), ["addresses", "links", "routes"]);
      host.changeLink();
      assertEquals([...(await changes.next()).value!], ["links"]);
      await changes.return(undefined);
    });

    Deno.test("KernelRtnetlinkMonitor leaves out the routes of the given socket, and nothing else", async () => {
      using host = world();
      using monitor = new KernelRtnetlinkMonitor({ own: host.rtnetlink });
      const changes = monitor.changes(new AbortController().signal);
      const told: string[][] = [];
      const next = async () =>
        told.push([...(await changes.next()).value!].toSorted());
      host.putRoute();
      host.changeLink();
      await next();
      using other = new KernelRtnetlink();
      other.replaceRoute({
        destination: cidrOf(toIpv4(0x0a200000), 24),
        interfaceIndex: host.interfaceIndex,
      });
      await next();
      host.addAddress();
      await next();
      assertEquals(told, [["links"], ["routes"], ["addresses", "routes"]]);
      await changes.return(undefined);
    });

    Deno.test("KernelRtnetlinkMonitor closes its descriptors", async () => {
      const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
      using host = world();
      const before = descriptors();
      const abort = new AbortController();
      {
        using monitor = new KernelRtnetlinkMonitor();
        const next = monitor.changes(abort.signal).next();
        abort.abort();
        await next;
        host.changeLink();
        for await (const _ of monitor.changes(new AbortController().signal)) {
          break;
        }
      }
      assertEquals(descriptors(), before);
    });

    Deno.test("KernelRtnetlinkMonitor tells of one device's neighbours and forwarding entries", async () => {
      using host = world();
      const { rtnetlink } = host;
      const abort = new AbortController();
      const vxlan = rtnetlink.createVxlan({
        name: "flannel.1",
        vni: 1,
        underlayIndex: host.interfaceIndex,
        local: toIpv4(0xc000020b),
        port: 8472,
        learning: false,
        outerChecksum: false,
        groupPolicy: false,
        mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
        mtuBytes: 1450,
      });
      rtnetlink.ensureAddress(
        vxlan.index,
        parseAddressWithPrefix("10.1.5.0/32")!,
      );
      rtnetlink.changeLink(vxlan.index, { up: true });
      let watched = host.interfaceIndex;
      using monitor = new KernelRtnetlinkMonitor({
        neighboursOf: () => watched,
      });
      const changes = monitor.changes(abort.signal);
      const mac = Uint8Array.of(2, 0, 0, 0, 0, 2);
      const entry = { interfaceIndex: vxlan.index, mac };
      const neighbour = { ...entry, address: toIpv4(0x0a010600) };
      const forwarding = { ...entry, remote: toIpv4(0xc000020c) };
      // Of another device: told of nothing but what comes after it.
      rtnetlink.replaceNeighbours([neighbour]);
      host.changeLink();
      assertEquals([...(await changes.next()).value!], ["links"]);
      watched = vxlan.index;
      for (
        const change of [
          () => rtnetlink.removeNeighbours([neighbour]),
          () => rtnetlink.replaceForwardingEntries([forwarding]),
          () => rtnetlink.removeForwardingEntries([forwarding]),
        ]
      ) {
        change();
        assertEquals([...(await changes.next()).value!], ["neighbours"]);
      }
      await changes.return(undefined);
      let isOwn = true;
      using others = new KernelRtnetlinkMonitor({
        neighboursOf: () => vxlan.index,
        isOwnEntry: () => isOwn,
        own: rtnetlink,
      });
      const ofOthers = others.changes(abort.signal);
      rtnetlink.replaceNeighbours([neighbour]);
      rtnetlink.replaceForwardingEntries([forwarding]);
      host.changeLink();
      assertEquals([...(await ofOthers.next()).value!], ["links"]);
      isOwn = false;
      rtnetlink.removeForwardingEntries([forwarding]);
      assertEquals([...(await ofOthers.next()).value!], ["neighbours"]);
      using other = new KernelRtnetlink();
      other.removeNeighbours([neighbour]);
      assertEquals([...(await ofOthers.next()).value!], ["neighbours"]);
      await ofOthers.return(undefined);
      rtnetlink.deleteLink(vxlan.index);
    });
  },
);
