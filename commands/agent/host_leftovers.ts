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
  type LeftoverScope,
} from "../../backend/leftovers.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { Settings } from "../../config/settings.ts";
import type { RtnetlinkReader } from "../../linux/netlink/rtnetlink.ts";

/** As of now. @param present backends whose devices and routes are wanted. */
export function hostLeftovers(
  settings: Pick<Settings, "deviceName" | "etcdPrefix">,
  { network, subnetLength }: Pick<LeftoverScope, "network" | "subnetLength">,
  present: readonly BackendConfig[],
  rtnetlink: RtnetlinkReader,
): Leftover[] {
  return findLeftovers(rtnetlink, {
    network,
    subnetLength,
    deviceAlias: deviceAlias(settings.etcdPrefix),
    device: settings.deviceName,
    present: present.map(({ options, type }) => ({
      descriptor: backendOf(type),
      options,
    })),
  });
}
