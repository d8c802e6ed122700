/**
 * The kernel data path on other devices than a single card, and on a card that
 * is not what it was.
 *
 * A kernel that lacks a kind of device does not run its tests; virtual machines
 * with Debian's kernels have all of them (`deno task test:kernels`).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { ReceiveChoice } from "../../backend/udp/data_path.ts";
import type { UdpBackend } from "../../backend/udp/udp_backend.ts";
import { underlayMtu } from "../../net/mtu.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { hasLinkKind, hasUpperKind } from "../support/link_kind.ts";
import {
  FIRST,
  ip,
  type KernelPathHost,
  OTHER_MAC,
  OWN_ADDRESS,
  peerOf,
  PEERS,
  REMOTE,
  type StackKind,
  testOnHost as test,
} from "../support/kernel_path_host.ts";
import { testInNamespace } from "./in_namespace.ts";

/** The most that a UDP packet of the overlay carries. */
const MOST_BYTES = 1_472 - 28;
const OVERLAY_PROGRAMS = [
  "flannel0 egress loden_tx tcx",
  "flannel0p ingress loden_hop tcx",
];
const signal = new AbortController().signal;

/** Those that this kernel has. */
function kinds(): StackKind[] {
  const all: readonly [StackKind, boolean][] = [
    ["bond", hasLinkKind("bond")],
    ["bridge", hasLinkKind("bridge")],
    ["vlan", hasUpperKind("vlan", "id", "7")],
    ["macvlan", hasUpperKind("macvlan")],
  ];
  return all.filter(([, isThere]) => isThere).map(([kind]) => kind);
}

async function startOn(
  host: KernelPathHost,
  device: string,
  receive: ReceiveChoice,
): Promise<UdpBackend> {
  const backend = host.backend({ receive });
  await backend.start(host.context(FIRST.net, device), signal);
  await backend.apply({ added: PEERS, changed: [], removed: [] });
  return backend;
}

/** By whatever hook: old kernels have no tcx. */
function attached(host: KernelPathHost): string[] {
  return host.attached().map((text) => text.replace(/ (tcx|clsact)$/, " tcx"));
}

testInNamespace(
  "The kernel data path on other devices",
  import.meta.url,
  () => {
    setKernel({ "net/ipv6/conf/default/disable_ipv6": "1" });

    for (const kind of kinds()) {
      for (const receive of ["gro", "xdp", "direct"] as const) {
        test(`over a ${kind}, asked for mode ${receive}, programs are at the ${kind}, and packets up to the MTU cross`, async (host) => {
          host.stack(kind);
          const backend = await startOn(host, "uplink", receive);
          assertEquals(attached(host), [
            ...OVERLAY_PROGRAMS,
            "uplink ingress loden_rx tcx",
          ]);
          const { details } = backend.status();
          const mode = receive === "xdp" ? "gro" : receive;
          assert(
            details!["receive on uplink"]?.startsWith(mode),
            JSON.stringify(details),
          );
          await host.proveThatPacketsFlow("uplink");
          await host.sendOut("10.1.2.7", "uplink", FIRST, 2_000, MOST_BYTES);
          assert(
            await host.takesIn("10.1.2.7", REMOTE, "uplink", FIRST, MOST_BYTES),
          );
        });
      }
    }

    for (const [mtu, mode] of [[1_280, "xdp"], [9_000, "gro"]] as const) {
      test(`a veth of ${mtu} bytes that receives packets one by one uses mode ${mode}, and packets up to the MTU cross`, async (host) => {
        for (const end of ["eth0", "eth0w"]) {
          ip(`link set ${end} mtu ${mtu}`);
        }
        host.ethtool.setFeatures("eth0", {
          "rx-gro": true,
          "tx-tcp-segmentation": false,
        });
        const context = host.context();
        const backend = host.backend();
        const { mtuBytes } = await backend.start({
          ...context,
          underlay: { ...context.underlay, mtuBytes: underlayMtu(mtu) },
        }, signal);
        await backend.apply({ added: PEERS, changed: [], removed: [] });
        assertEquals(mtuBytes, mtu - 28);
        const { details } = backend.status();
        assert(
          details!["receive on eth0"]?.startsWith(mode),
          JSON.stringify(details),
        );
        const most = mtuBytes - 28;
        await host.proveThatPacketsFlow();
        await host.sendOut("10.1.2.7", "eth0", FIRST, 2_000, most);
        assert(await host.takesIn("10.1.2.7", REMOTE, "eth0", FIRST, most));
      });
    }

    test("with several addresses on the underlay, packets leave from the lease's, whatever the routes prefer", async (host) => {
      ip("address add 192.0.2.100/24 dev eth0");
      ip("address add 198.51.100.1/24 dev eth0");
      ip("address add 203.0.113.9/32 dev eth0");
      // By which the host itself would send from another address.
      ip("route add 192.0.2.2/32 dev eth0 src 198.51.100.1");
      await host.start();
      await host.proveThatPacketsFlow();
      assertEquals((await host.sendOut()).source, OWN_ADDRESS);
    });

    test("a peer behind a router that has an IPv6 address only gets packets", async (host) => {
      setKernel({ "net/ipv6/conf/eth0/disable_ipv6": "0" });
      ip(
        "neighbour replace fe80::99 lladdr 02:00:5e:00:53:99 dev eth0 nud permanent",
      );
      ip("route add 198.51.100.0/24 via inet6 fe80::99 dev eth0");
      const backend = await host.start();
      const far = peerOf("10.1.4.0/24", "198.51.100.4", "ebpf");
      await backend.apply({ added: [far], changed: [], removed: [] });
      assertEquals(
        (await host.sendOut("10.1.4.7")).destination,
        "198.51.100.4",
      );
      assert(await host.takesIn("10.1.4.7", "198.51.100.4"));
      await host.proveThatPacketsFlow();
    });

    for (const agent of ["an agent that runs", "no agent"]) {
      test(`with ${agent}, packets follow a neighbour and a gateway that have another hardware address within a second`, async (host) => {
        const backend = await host.start();
        await host.proveThatPacketsFlow();
        if (agent === "no agent") await host.stop(backend);
        const goesToOther = async () =>
          (await host.sendOut()).destinationMac === OTHER_MAC;
        const follows = async () => {
          for (const end = Date.now() + 1_000; Date.now() < end;) {
            if (await goesToOther()) return true;
          }
          return false;
        };
        assert(!await goesToOther());
        host.addNeighbour("eth0", REMOTE, OTHER_MAC);
        assert(await follows());
        host.addNeighbour("eth0", REMOTE);
        host.addNeighbour("eth0", "192.0.2.254");
        ip(`route add ${REMOTE} via 192.0.2.254 dev eth0`);
        assert(!await goesToOther());
        // The next gateway takes over its address, or another one is used.
        host.addNeighbour("eth0", "192.0.2.254", OTHER_MAC);
        assert(await follows());
        ip(`route replace ${REMOTE} via 192.0.2.3 dev eth0`);
        assert(!await goesToOther());
        host.addNeighbour("eth0", "192.0.2.253", OTHER_MAC);
        ip(`route replace ${REMOTE} via 192.0.2.253 dev eth0`);
        assert(await follows());
      });
    }

    for (const name of ["eth0", "uplink"]) {
      test(`a card that is replaced by one of the name ${name} and of another index carries packets at the next look`, async (host) => {
        const { index } = host.link("eth0");
        await host.start();
        ip("link delete eth0");
        host.plugIn(name);
        assert(host.link(name).index !== index);
        await host.clock.advance(5_000);
        assertEquals(
          attached(host).filter((text) => text.startsWith(name)),
          [`${name} ingress loden_rx tcx`],
        );
        await host.proveThatPacketsFlow(name);
      });
    }
  },
);
