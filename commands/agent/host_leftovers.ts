/**
 * What other backends have left on this host inside a network.
 *
 * @module
 */

import { deviceAlias } from "../../agent/instance/footprint.ts";
import { backendOf } from "../../backend/backends.ts";
import {
  findLeftovers,
  type Leftover,
  readHostState,
} from "../../backend/leftovers.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import type { Settings } from "../../config/settings.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";

/** As of now. @param present backends whose devices and routes are wanted. */
export function hostLeftovers(
  settings: Pick<Settings, "deviceName" | "etcdPrefix">,
  { pool }: NetworkConfig,
  present: readonly BackendConfig[],
  rtnetlink: Rtnetlink,
): Leftover[] {
  return findLeftovers(readHostState(rtnetlink), {
    network: pool.network,
    subnetLength: pool.subnetLength,
    deviceAlias: deviceAlias(settings.etcdPrefix),
    device: settings.deviceName,
    present: present.map(({ options, type }) => ({
      descriptor: backendOf(type),
      options,
    })),
  });
}
