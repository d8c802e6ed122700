/**
 * What a change of backend means for the hosts, for `loden config put`.
 *
 * @module
 */

import { backendOf, BACKENDS } from "../../backend/backends.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../config/network/network.ts";
import { LodenError } from "../../errors.ts";

/** To compare MTUs; the difference is the same for any. */
const UNDERLAY_MTU = 1500;

/**
 * One sentence each; none if the backend stays.
 *
 * @param before The published config; one that cannot be read runs nowhere.
 */
export function describeBackendChange(
  before: string | undefined,
  { backend: after }: NetworkConfig,
): string[] {
  const former = before === undefined ? undefined : readBackend(before);
  if (former === undefined) return [];
  if (former.type === after.type) {
    return JSON.stringify(former.options) === JSON.stringify(after.options)
      ? []
      : [
        `hosts that run keep the former options of ${after.type}; change to ` +
        "another backend and back, or restart all agents together",
      ];
  }
  const { runsAlone } = backendOf(after.type);
  const outage = runsAlone ?? backendOf(former.type).runsAlone;
  const [from, to] = [former, after].map(mtuOf);
  return [
    `hosts with Loden change from ${former.type} to ${after.type} by ` +
    "themselves; hosts with flannel change when flanneld is restarted",
    outage === undefined
      ? "until a host has changed, the others reach it by the former backend"
      : `hosts that have changed do not reach the others, because ${outage}`,
    ...from === to ? [] : [
      `the MTU changes by ${to! - from!} bytes: restart Docker on each host ` +
      "after it has changed",
    ],
  ];
}

function readBackend(text: string): BackendConfig | undefined {
  try {
    return parseNetworkConfig(text, BACKENDS).backend;
  } catch (error) {
    if (error instanceof LodenError) return undefined;
    throw error;
  }
}

function mtuOf({ options, type }: BackendConfig): number {
  return backendOf(type).overlayMtuBytes(options, UNDERLAY_MTU);
}
