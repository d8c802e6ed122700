/**
 * Devices and their offloads in memory.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import {
  type DeviceFeature,
  type Ethtool,
  requireFeatures,
} from "../../linux/ethtool.ts";

/** What a veth of Linux 6 has, as far as anybody asks. */
const VETH: Readonly<Record<string, DeviceFeature>> = {
  "rx-checksum": { active: true, requested: true, changeable: true },
  "rx-gro": { active: true, requested: true, changeable: true },
  "tx-generic-segmentation": {
    active: true,
    requested: true,
    changeable: true,
  },
  "tx-tcp-segmentation": { active: true, requested: true, changeable: true },
  "tx-tcp6-segmentation": { active: true, requested: true, changeable: true },
  "tx-udp-segmentation": { active: true, requested: true, changeable: true },
  "tx-checksum-ip-generic": {
    active: true,
    requested: true,
    changeable: true,
  },
  "rx-lro": { active: false, requested: false, changeable: false },
  "loopback": { active: false, requested: false, changeable: false },
};

/** Has no device until one is plugged in. */
export class FakeEthtool implements Ethtool {
  readonly #devices = new Map<
    string,
    { driver: string; features: Map<string, DeviceFeature> }
  >();

  /** A device with the offloads of a veth, but for `overrides`. */
  plugIn(
    interfaceName: string,
    driver = "veth",
    overrides: Readonly<Record<string, DeviceFeature>> = {},
  ): void {
    const features = new Map(Object.entries({ ...VETH, ...overrides }));
    this.#devices.set(interfaceName, { driver, features });
  }

  features(interfaceName: string): ReadonlyMap<string, DeviceFeature> {
    return new Map(this.#find(interfaceName, "read the offloads").features);
  }

  setFeatures(
    interfaceName: string,
    wanted: Readonly<Record<string, boolean>>,
  ): void {
    const { features } = this.#find(interfaceName, "set the offloads");
    for (const [name, on] of Object.entries(wanted)) {
      const feature = features.get(name);
      if (!feature?.changeable) continue;
      features.set(name, { ...feature, requested: on, active: on });
    }
    requireFeatures(interfaceName, features, wanted);
  }

  driver(interfaceName: string): string {
    return this.#find(interfaceName, "read the driver").driver;
  }

  #find(interfaceName: string, what: string) {
    const device = this.#devices.get(interfaceName);
    if (device !== undefined) return device;
    throw new SystemCallError(`${what} of ${interfaceName}`, ERRNO.ENODEV);
  }
}
