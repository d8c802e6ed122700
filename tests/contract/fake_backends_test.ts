import { createHostGwBackend } from "../../backend/host_gw/host_gw_backend.ts";
import { createIpipBackend } from "../../backend/ipip/ipip_backend.ts";
import { ExtensionBackend } from "../../backend/extension/extension_backend.ts";
import type { Backend } from "../../backend/backend.ts";
import type { BackendOptions } from "../../backend/backend_descriptor.ts";
import type { KernelBackendParts } from "../../backend/kernel_backend.ts";
import { createVxlanBackend } from "../../backend/vxlan/vxlan_backend.ts";
import { createWireguardBackend } from "../../backend/wireguard/wireguard_backend.ts";
import { WireguardKey } from "../../backend/wireguard/wireguard_key.ts";
import { FakeBackend } from "../fakes/fake_backend.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { FakeEthtool } from "../fakes/fake_ethtool.ts";
import { FakeRtnetlink } from "../fakes/fake_rtnetlink.ts";
import { FakeRtnetlinkMonitor } from "../fakes/fake_rtnetlink_monitor.ts";
import { FakeWireguard } from "../fakes/fake_wireguard.ts";
import { backendContract } from "./backend_contract.ts";
import {
  ALIAS,
  backendWorld,
  COMMANDS,
  commandsInMemory,
} from "./backend_worlds.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x27);

const KEY = new WireguardKey(new Uint8Array(32).fill(0x48));

type FakeParts = KernelBackendParts & {
  readonly ethtool: FakeEthtool;
  readonly wireguard: FakeWireguard;
};

/** Backends on a kernel in memory. */
const KERNEL_BACKENDS: Readonly<
  Record<string, {
    readonly options: BackendOptions;
    readonly create: (parts: FakeParts) => Backend;
  }>
> = {
  vxlan: {
    options: { VNI: 1, Port: 8472 },
    create: (parts) =>
      createVxlanBackend(parts, {
        vni: 1,
        port: 8472,
        outerMtuBytes: undefined,
        groupPolicy: false,
        learning: false,
        directRouting: false,
        deviceAlias: ALIAS,
        mac: MAC,
        txChecksum: "auto",
      }),
  },
  "host-gw": { options: {}, create: createHostGwBackend },
  ipip: {
    options: { DirectRouting: false },
    create: (parts) =>
      createIpipBackend(parts, { directRouting: false, deviceAlias: ALIAS }),
  },
  wireguard: {
    options: { ListenPort: 51820 },
    create: (parts) =>
      createWireguardBackend({
        ...parts,
        wallClock: new FakeClock(),
        loadKey: () => Promise.resolve(KEY),
      }, {
        port: 51820,
        outerMtuBytes: undefined,
        presharedKey: undefined,
        keepaliveSeconds: 0,
        deviceAlias: ALIAS,
      }),
  },
};

/** A kernel in memory, with 192.0.2.11/24 on eth0. */
function kernelInMemory() {
  const rtnetlink = new FakeRtnetlink();
  const { index } = rtnetlink.addLink({ name: "eth0", up: true });
  rtnetlink.addAddress(index, "192.0.2.11/24");
  return { rtnetlink, underlayIndex: index, close: () => {} };
}

for (const [type, { create, options }] of Object.entries(KERNEL_BACKENDS)) {
  backendContract(`${type} on a kernel in memory`, type, () => {
    const kernel = kernelInMemory();
    const parts: FakeParts = {
      ethtool: new FakeEthtool(),
      rtnetlink: kernel.rtnetlink,
      wireguard: new FakeWireguard(kernel.rtnetlink),
      clock: new FakeClock(),
      openMonitor: () => new FakeRtnetlinkMonitor(),
    };
    const world = {
      ...kernel,
      type,
      options,
      create: () => create(parts),
      ...type === "wireguard" && { wireguard: parts.wireguard },
    };
    return Promise.resolve(backendWorld(world));
  });
}

backendContract("extension with commands in memory", "extension", () => {
  const commanded = commandsInMemory();
  const prepared = new Map<string, string>();
  const host = { ...commanded.running, prepared };
  return Promise.resolve(backendWorld({
    ...kernelInMemory(),
    type: "extension",
    options: COMMANDS,
    commanded,
    create: () =>
      new ExtensionBackend(host, {
        preStartup: `${COMMANDS.PreStartupCommand}`,
        postStartup: `${COMMANDS.PostStartupCommand}`,
        subnetAdd: `${COMMANDS.SubnetAddCommand}`,
        subnetRemove: `${COMMANDS.SubnetRemoveCommand}`,
      }),
  }));
});

backendContract("FakeBackend", "udp", () => {
  const kernel = kernelInMemory();
  const { rtnetlink } = kernel;
  let device: number | undefined;
  return Promise.resolve(backendWorld({
    ...kernel,
    type: "udp",
    options: { Port: 8285 },
    hasRoutes: false,
    create: () =>
      new FakeBackend({
        onCall(call) {
          if (call !== "backend.start" || device !== undefined) return;
          device = rtnetlink.addLink({ name: "flannel0", alias: ALIAS }).index;
        },
      }),
  }));
});
