/**
 * Offloads of network devices, as `ethtool -k` and `-K` show and change them.
 *
 * Source: `linux/ethtool.h`, `linux/sockios.h`, `net/ethtool/ioctl.c`.
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { AF_INET } from "./inet_socket.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";

/** One offload of a device. */
export interface DeviceFeature {
  readonly active: boolean;
  /** Whether it is requested; another setting may keep it inactive. */
  readonly requested: boolean;
  /** `ethtool -k` says `[fixed]` of those that are not. */
  readonly changeable: boolean;
}

/**
 * Offloads have the kernel's names (`net/ethtool/common.c`), such as
 * `tx-udp-segmentation`, `rx-gro`, `tx-tcp-segmentation`.
 *
 * All methods throw {@linkcode SystemCallError}: `ENODEV` when there is no device
 * of that name, `EPERM` without CAP_NET_ADMIN.
 */
export interface Ethtool {
  /** Every offload that the kernel knows, by name. */
  features(interfaceName: string): ReadonlyMap<string, DeviceFeature>;
  /**
   * Switches offloads on or off; the others stay.
   *
   * Throws {@linkcode FeatureRefusedError} when one is not as asked afterwards:
   * it is fixed, or unknown to this kernel, or another one keeps it as it is. What
   * could be changed is changed all the same.
   */
  setFeatures(
    interfaceName: string,
    features: Readonly<Record<string, boolean>>,
  ): void;
  /** The driver's name, such as `veth`, `virtio_net`; `EOPNOTSUPP` if unknown. */
  driver(interfaceName: string): string;
}

/**
 * The kernel did not change an offload. Its code is `linux.ethtool.refused`.
 */
export class FeatureRefusedError extends LodenError {
  /** Those that are not as asked. */
  readonly features: readonly string[];

  constructor(
    interfaceName: string,
    refused: ReadonlyMap<string, DeviceFeature | undefined>,
    wanted: Readonly<Record<string, boolean>>,
  ) {
    const word = (on: boolean) => on ? "on" : "off";
    const rules: string[] = [];
    const values: string[] = [];
    for (const [name, feature] of refused) {
      rules.push(`${name} must be ${word(wanted[name]!)}`);
      values.push(
        feature === undefined
          ? "unknown to this kernel"
          : `${word(feature.active)}${feature.changeable ? "" : " [fixed]"}`,
      );
    }
    super(
      "linux.ethtool.refused",
      `Cannot set the offloads of ${interfaceName}: ${
        rules.join(", ")
      }: current value is ${values.join(", ")}`,
      { hint: `ethtool -k ${interfaceName} shows what the device can do` },
    );
    this.features = [...refused.keys()];
  }
}

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const SIOCETHTOOL = 0x8946;
/** IFNAMSIZ: a name and its NUL. */
const NAME_BYTES = 16;
/** struct ifreq: the name and a union of 24 bytes, here a pointer. */
const IFREQ_BYTES = 40;

const ETHTOOL_GDRVINFO = 0x3;
const ETHTOOL_GSTRINGS = 0x1b;
const ETHTOOL_GSSET_INFO = 0x37;
const ETHTOOL_GFEATURES = 0x3a;
const ETHTOOL_SFEATURES = 0x3b;

/** struct ethtool_drvinfo, and where its driver's name lies. */
const DRVINFO_BYTES = 196;
const DRIVER_OFFSET = 4;
const DRIVER_BYTES = 32;

/** struct ethtool_sset_info: cmd, reserved, u64 mask, u32 lengths. */
const SSET_INFO_BYTES = 20;
const ETH_SS_FEATURES = 4;
/** struct ethtool_gstrings: cmd, set, length, then names. */
const GSTRINGS_HEADER_BYTES = 12;
/** ETH_GSTRING_LEN. */
const STRING_BYTES = 32;

/** cmd and number of blocks of 32 features. */
const FEATURES_HEADER_BYTES = 8;
/** available, requested, active, never changed (u32 each). */
const GET_BLOCK_BYTES = 16;
/** valid, requested (u32 each). */
const SET_BLOCK_BYTES = 8;
const FEATURES_PER_BLOCK = 32;

/** The devices of the network namespace of the thread that made it. */
export class KernelEthtool implements Ethtool, Disposable {
  #descriptor: number;
  /** By bit; empty for bits without a meaning. The kernel's, for all devices. */
  #names: readonly string[] | undefined;

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor() {
    this.#descriptor = checked(
      libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
      "create a socket for ethtool",
    );
  }

  features(interfaceName: string): ReadonlyMap<string, DeviceFeature> {
    const names = this.#featureNames(interfaceName);
    const blocks = Math.ceil(names.length / FEATURES_PER_BLOCK);
    const data = request(
      ETHTOOL_GFEATURES,
      FEATURES_HEADER_BYTES + blocks * GET_BLOCK_BYTES,
    );
    data.setUint32(4, blocks, true);
    this.#ask(interfaceName, `read the offloads of ${interfaceName}`, data);
    const features = new Map<string, DeviceFeature>();
    names.forEach((name, bit) => {
      if (name === "") return;
      const word = (index: number) =>
        data.getUint32(
          FEATURES_HEADER_BYTES +
            Math.floor(bit / FEATURES_PER_BLOCK) * GET_BLOCK_BYTES + index * 4,
          true,
        );
      const has = (index: number) =>
        (word(index) >>> (bit % FEATURES_PER_BLOCK) & 1) !== 0;
      features.set(name, {
        changeable: has(0) && !has(3),
        requested: has(1),
        active: has(2),
      });
    });
    return features;
  }

  setFeatures(
    interfaceName: string,
    wanted: Readonly<Record<string, boolean>>,
  ): void {
    const names = this.#featureNames(interfaceName);
    const blocks = Math.ceil(names.length / FEATURES_PER_BLOCK);
    const data = request(
      ETHTOOL_SFEATURES,
      FEATURES_HEADER_BYTES + blocks * SET_BLOCK_BYTES,
    );
    data.setUint32(4, blocks, true);
    for (const [name, on] of Object.entries(wanted)) {
      const bit = names.indexOf(name);
      if (bit < 0 || name === "") continue;
      const at = FEATURES_HEADER_BYTES +
        Math.floor(bit / FEATURES_PER_BLOCK) * SET_BLOCK_BYTES;
      const mask = 1 << (bit % FEATURES_PER_BLOCK);
      data.setUint32(at, data.getUint32(at, true) | mask, true);
      if (on) data.setUint32(at + 4, data.getUint32(at + 4, true) | mask, true);
    }
    // Its result, ETHTOOL_F_*, does not say which one was not changed.
    this.#ask(interfaceName, `set the offloads of ${interfaceName}`, data);
    requireFeatures(interfaceName, this.features(interfaceName), wanted);
  }

  driver(interfaceName: string): string {
    const data = request(ETHTOOL_GDRVINFO, DRVINFO_BYTES);
    this.#ask(interfaceName, `read the driver of ${interfaceName}`, data);
    return textAt(data, DRIVER_OFFSET, DRIVER_BYTES);
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }

  #featureNames(interfaceName: string): readonly string[] {
    this.#names ??= this.#readFeatureNames(interfaceName);
    return this.#names;
  }

  #readFeatureNames(interfaceName: string): readonly string[] {
    const what = `read the names of the offloads of ${interfaceName}`;
    const info = request(ETHTOOL_GSSET_INFO, SSET_INFO_BYTES);
    info.setBigUint64(8, 1n << BigInt(ETH_SS_FEATURES), true);
    this.#ask(interfaceName, what, info);
    const count = info.getUint32(16, true);
    const strings = request(
      ETHTOOL_GSTRINGS,
      GSTRINGS_HEADER_BYTES + count * STRING_BYTES,
    );
    strings.setUint32(4, ETH_SS_FEATURES, true);
    strings.setUint32(8, count, true);
    this.#ask(interfaceName, what, strings);
    return Array.from(
      { length: count },
      (_, bit) =>
        textAt(
          strings,
          GSTRINGS_HEADER_BYTES + bit * STRING_BYTES,
          STRING_BYTES,
        ),
    );
  }

  /** The kernel reads and writes `data`. */
  #ask(interfaceName: string, what: string, data: DataView): void {
    const name = new TextEncoder().encode(interfaceName);
    if (name.length >= NAME_BYTES) {
      throw new SystemCallError(what, ERRNO.ENODEV, {
        detail: `a name must have less than ${NAME_BYTES} bytes`,
      });
    }
    const ifreq = new DataView(new ArrayBuffer(IFREQ_BYTES));
    new Uint8Array(ifreq.buffer).set(name);
    ifreq.setBigUint64(NAME_BYTES, BigInt(addressOf(data)), true);
    const result = libc().ioctl(
      this.#descriptor,
      SIOCETHTOOL,
      addressOf(ifreq),
    );
    if (result >= 0) return;
    const number = errno();
    throw new SystemCallError(
      what,
      number,
      number === ERRNO.EPERM
        ? { hint: "run as root or with CAP_NET_ADMIN" }
        : {},
    );
  }
}

/** Throws {@linkcode FeatureRefusedError} where `features` are not as `wanted`. */
export function requireFeatures(
  interfaceName: string,
  features: ReadonlyMap<string, DeviceFeature>,
  wanted: Readonly<Record<string, boolean>>,
): void {
  const refused = new Map<string, DeviceFeature | undefined>();
  for (const [name, on] of Object.entries(wanted)) {
    const feature = features.get(name);
    if (feature?.active !== on) refused.set(name, feature);
  }
  if (refused.size > 0) {
    throw new FeatureRefusedError(interfaceName, refused, wanted);
  }
}

function request(command: number, bytes: number): DataView<ArrayBuffer> {
  const data = new DataView(new ArrayBuffer(bytes));
  data.setUint32(0, command, true);
  return data;
}

/** Text up to its NUL, or of the whole length. */
function textAt(data: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
