/**
 * The list of backends: the only place that names them all.
 *
 * @module
 */

import { allocDescriptor } from "./alloc.ts";
import type { Underlay } from "../net/underlay.ts";
import type { Backend } from "./backend.ts";
import type {
  BackendDescriptor,
  BackendHost,
  BackendOptions,
  BackendPermissions,
} from "./backend_descriptor.ts";
import { extensionDescriptor } from "./extension/extension_descriptor.ts";
import { hostGwDescriptor } from "./host_gw/host_gw_descriptor.ts";
import { ipipDescriptor } from "./ipip/ipip_descriptor.ts";
import { udpDescriptor } from "./udp/udp_descriptor.ts";
import { vxlanDescriptor } from "./vxlan/vxlan_descriptor.ts";
import { wireguardDescriptor } from "./wireguard/wireguard_descriptor.ts";

/** The backends that a network config may name. */
export const BACKENDS: {
  /** The first one is flannel's default, and Loden's. */
  readonly specs: readonly BackendDescriptor[];
  /** flannel's other backends, and what to use in their place. */
  readonly unavailable: Readonly<Record<string, string>>;
} = {
  specs: [
    udpDescriptor,
    vxlanDescriptor,
    hostGwDescriptor,
    ipipDescriptor,
    wireguardDescriptor,
    allocDescriptor,
    extensionDescriptor,
  ],
  unavailable: {
    ipsec: "use wireguard",
    "tencent-vpc": "use alloc, and let the cloud route the subnets",
    "ali-vpc": "use alloc, and let the cloud route the subnets",
    "aws-vpc": "use alloc, and let the cloud route the subnets",
    gce: "use alloc, and let the cloud route the subnets",
  },
};

/**
 * The backend of a network config, not started.
 *
 * @throws {LodenError} if the host's administrator does not allow it.
 */
export function createBackend(
  { options, type }: {
    readonly type: string;
    readonly options: BackendOptions;
  },
  host: BackendHost,
  permissions: BackendPermissions,
  underlay: Underlay,
): Backend {
  const descriptor = backendOf(type);
  const refusal = descriptor.refusal?.(permissions);
  if (refusal !== undefined) throw refusal;
  return descriptor.create(host, options, underlay);
}

/** Whether a config may name this type. */
export function isBackend(type: string): boolean {
  return BACKENDS.specs.some((each) => each.type === type);
}

/** The entry of a type that a config has. */
export function backendOf(type: string): BackendDescriptor {
  const found = BACKENDS.specs.find((each) => each.type === type);
  if (found === undefined) throw new TypeError(`no backend of type ${type}`);
  return found;
}
