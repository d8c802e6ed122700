/**
 * flannel's `wireguard` backend: a WireGuard device of the kernel's that encrypts
 * all packets between hosts, with an entry and a route for each peer (flannel's
 * `pkg/backend/wireguard`).
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type {
  Wireguard,
  WireguardDevice as DeviceState,
  WireguardEndpoint,
} from "../../linux/netlink/wireguard.ts";
import type { BackendContext } from "../backend.ts";
import {
  KernelBackend,
  type KernelBackendParts,
  type KernelLayout,
} from "../kernel_backend.ts";
import { ROUTE_PROTOCOL } from "../reconcile/kernel_state.ts";
import {
  describeHandshakes,
  planPeers,
  readPeers,
  renewals,
  sessionsToRenew,
  type WantedPeer,
} from "./peer_plan.ts";
import {
  WireguardDevice,
  type WireguardDeviceOptions,
} from "./wireguard_device.ts";
import type { WireguardKey } from "./wireguard_key.ts";

const TYPE = "wireguard";
const IPPROTO_UDP = 17;
/** The kernel does not report changes of a device's peers. */
const LOOK_MS = 1_000;

/** What the backend needs. */
export interface WireguardBackendParts extends KernelBackendParts {
  readonly wireguard: Wireguard;
  readonly wallClock: Pick<Clock, "now">;
  readonly loadKey: () => Promise<WireguardKey>;
}

/** How it works on this host. */
export type WireguardBackendOptions = Omit<WireguardDeviceOptions, "key">;

/** A backend that is not started yet; it advertises its key once it is prepared. */
export function createWireguardBackend(
  parts: WireguardBackendParts,
  options: WireguardBackendOptions,
): KernelBackend {
  let key: WireguardKey;
  const advertised = () => ({
    backendType: TYPE,
    backendData: { PublicKey: key.publicKey, Port: options.port },
  });
  return new KernelBackend(
    parts,
    { backendType: TYPE },
    (context) => layoutOf(parts, context, { ...options, key }, advertised()),
    async () => {
      key = await parts.loadKey();
      return advertised();
    },
  );
}

function layoutOf(
  { rtnetlink, wallClock, wireguard }: WireguardBackendParts,
  context: BackendContext,
  options: WireguardDeviceOptions,
  advertisement: KernelLayout["advertisement"],
): KernelLayout {
  const device = new WireguardDevice(rtnetlink, wireguard, context, options);
  device.close();
  const given = new Map<string, WireguardEndpoint>();
  let wanted: readonly WantedPeer[] = [];
  let seen: DeviceState = { publicKey: undefined, listenPort: 0, peers: [] };
  /** Whether `seen` is of this round. */
  let isFresh = false;
  let endsSessions = false;
  return {
    type: TYPE,
    dataPath: "kernel WireGuard",
    mtuBytes: device.mtuBytes,
    advertisement,
    traffic: [{ protocol: IPPROTO_UDP, port: options.port }],
    deviceName: device.name,
    lookMs: LOOK_MS,
    ensureDevice() {
      const { hasOtherKey, index, mended, state } = device.ensure();
      [seen, isFresh] = [state, true];
      // The kernel ends all sessions with the former key.
      endsSessions ||= hasOtherKey;
      return { index, mended };
    },
    plan(peers, interfaceIndex) {
      const read = readPeers(peers, options.key.publicKey, options);
      wanted = read.wanted;
      return {
        routes: wanted.map(({ peer }) => ({
          destination: peer.subnet,
          interfaceIndex,
          scope: "link",
          protocol: ROUTE_PROTOCOL,
        })),
        neighbours: [],
        forwarding: [],
        refused: read.refused,
      };
    },
    applyEntries(interfaceIndex, putRoutes) {
      if (!isFresh) seen = wireguard.device(interfaceIndex);
      isFresh = false;
      const nowMs = wallClock.now();
      const changes = planPeers(wanted, seen, { nowMs, given });
      const count = changes.removePeers.length + changes.putPeers.length;
      if (count > 0) wireguard.change(interfaceIndex, changes);
      const stale = endsSessions
        ? wanted
        : sessionsToRenew(wanted, seen, putRoutes);
      endsSessions = false;
      if (stale.length > 0) {
        for (const putPeers of renewals(stale)) {
          wireguard.change(interfaceIndex, { putPeers });
        }
      }
      given.clear();
      for (const { entry } of wanted) {
        given.set(entry.publicKey, entry.endpoint);
      }
      return count;
    },
    details: () => ({
      port: `${options.port}`,
      "public key": options.key.publicKey,
      "preshared key": options.presharedKey === undefined ? "no" : "yes",
      ...describeHandshakes(wanted, seen, wallClock.now()),
    }),
  };
}
