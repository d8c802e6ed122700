/**
 * Loden's values and entries, compared with flannel's, byte for byte.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Backend } from "../../../backend/backend.ts";
import { backendOf, BACKENDS } from "../../../backend/backends.ts";
import type { BackendOptions } from "../../../backend/backend_descriptor.ts";
import { ExtensionBackend } from "../../../backend/extension/extension_backend.ts";
import { createHostGwBackend } from "../../../backend/host_gw/host_gw_backend.ts";
import { createIpipBackend } from "../../../backend/ipip/ipip_backend.ts";
import { ROUTE_PROTOCOL } from "../../../backend/reconcile/kernel_state.ts";
import { createVxlanBackend } from "../../../backend/vxlan/vxlan_backend.ts";
import { vxlanDeviceName } from "../../../backend/vxlan/vxlan_options.ts";
import { parseNetworkConfig } from "../../../config/network/network.ts";
import {
  decodeLeaseValue,
  encodeLeaseValue,
  parseLeaseName,
} from "../../../lease/lease_codec.ts";
import type { LeaseAttributes } from "../../../lease/lease.ts";
import { type Cidr, formatCidr } from "../../../net/cidr.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { formatMac, parseMac } from "../../../net/mac.ts";
import type { Peer } from "../../../net/peer.ts";
import {
  FLANNEL_CAPTURES,
  type FlannelCapture,
} from "../../support/flannel_captures.ts";
import { type KernelWorld, kernelWorld } from "./kernel_world.ts";

const ALIAS = "loden:/coreos.com/network";
const signal = new AbortController().signal;

function read(key: string, value: string): Peer & LeaseAttributes {
  const name = parseLeaseName(key);
  const decoded = decodeLeaseValue(value);
  if (!name.ok || !decoded.ok) throw new Error(`not read: ${key} ${value}`);
  return { subnet: name.value, stale: false, ...decoded.value };
}

/** flannel's config, without the IPv6 that this release does not carry. */
function configOf({ config }: FlannelCapture) {
  const { EnableIPv6: _, ...rest } = JSON.parse(config);
  return parseNetworkConfig(JSON.stringify(rest), BACKENDS);
}

/** The backend that a host with flannel's MAC and flannel's output would have. */
async function backendFor(
  type: string,
  options: BackendOptions,
  world: KernelWorld,
  own: LeaseAttributes,
): Promise<Backend> {
  switch (type) {
    case "vxlan": {
      const { VtepMAC } = own.backendData as { VtepMAC: string };
      return createVxlanBackend(world.parts, {
        vni: Number(options.VNI),
        port: Number(options.Port),
        outerMtuBytes: options.MTU as number | undefined,
        groupPolicy: options.GBP === true,
        learning: options.Learning === true,
        directRouting: options.DirectRouting === true,
        deviceAlias: ALIAS,
        mac: parseMac(VtepMAC)!,
        txChecksum: "auto",
      });
    }
    case "host-gw":
      return createHostGwBackend(world.parts);
    case "ipip":
      return createIpipBackend(world.parts, {
        directRouting: false,
        deviceAlias: ALIAS,
      });
    case "extension": {
      const stdout = `${own.backendData}`;
      const backend = new ExtensionBackend({
        prepared: new Map(),
        timeLimitMs: 1_000,
        runShell: () => Promise.resolve({ code: 0, stdout, stderr: "" }),
      }, {
        preStartup: `${options.PreStartupCommand}`,
        postStartup: `${options.PostStartupCommand}`,
        subnetAdd: "",
        subnetRemove: "",
      });
      await backend.prepare(signal);
      return backend;
    }
    default:
      return backendOf(type).create(
        {} as never,
        options,
        world.context.underlay,
      );
  }
}

function programmed({ rtnetlink, underlayIndex }: KernelWorld, name: string) {
  const device = rtnetlink.links().find((link) => link.name === name);
  const index = device?.index ?? -1;
  return [
    ...rtnetlink.routes()
      .filter(({ protocol, type }) =>
        protocol === ROUTE_PROTOCOL && type === "unicast"
      )
      .map(({ destination, gateway, interfaceIndex }) =>
        `route ${formatCidr(destination)} via ${formatIpv4(gateway!)} dev ${
          interfaceIndex === underlayIndex ? "eth1" : name
        }`
      ),
    ...rtnetlink.neighbours(index).map(({ address, mac }) =>
      `neighbour ${formatIpv4(address)} ${formatMac(mac)}`
    ),
    ...rtnetlink.forwardingEntries(index).map(({ mac, remote }) =>
      `forward ${formatMac(mac)} ${formatIpv4(remote)}`
    ),
  ].sort();
}

function ownOf({ leases, own }: FlannelCapture) {
  return read(own, leases[own]!);
}

function peersOf({ leases, own }: FlannelCapture): Peer[] {
  return Object.entries(leases).filter(([key]) => key !== own)
    .map(([key, value]) => read(key, value));
}

for (const capture of FLANNEL_CAPTURES) {
  const { backend: { options, type } } = configOf(capture);

  // Dual stack is not written, only read.
  if (!capture.own.includes("&")) {
    Deno.test(`the lease's value is flannel's, byte for byte: ${capture.name}`, async () => {
      const own = ownOf(capture);
      const backend = await backendFor(type, options, kernelWorld(), own);
      const { publicIp } = own;
      assertEquals(
        encodeLeaseValue({ publicIp, ...backend.advertise() }),
        capture.leases[capture.own],
      );
      await backend.stop();
    });
  }

  if (capture.mtuBytes !== undefined) {
    Deno.test(`the MTU in the files is flannel's: ${capture.name}`, () => {
      const found = backendOf(type).overlayMtuBytes(options, 1500);
      assertEquals(found, capture.mtuBytes);
    });
  }

  if (capture.programmed !== undefined) {
    Deno.test(`the kernel has flannel's routes and entries: ${capture.name}`, async () => {
      const world = kernelWorld();
      const own = ownOf(capture);
      const backend = await backendFor(type, options, world, own);
      const { subnet }: { subnet: Cidr } = own;
      await backend.start({ ...world.context, subnet }, signal);
      const added = peersOf(capture);
      await backend.apply({ added, changed: [], removed: [] });
      const name = type === "vxlan"
        ? vxlanDeviceName({ vni: Number(options.VNI) })
        : "eth1";
      assertEquals(programmed(world, name), capture.programmed);
      await backend.stop();
    });
  }
}

Deno.test("there is a capture of each backend that Loden shares with flannel", () => {
  const captured = new Set(FLANNEL_CAPTURES.map(({ config }) => {
    const { Backend = { Type: "udp" } } = JSON.parse(config);
    return Backend.Type;
  }));
  for (const { type } of BACKENDS.specs) {
    // flannel did not run WireGuard where the captures were made.
    if (type !== "wireguard") assert(captured.has(type), type);
  }
});
