/**
 * Where this host stands in the overlay, for the probes.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { DataPathName } from "../../net/peer.ts";
import type { Network } from "../network/network.ts";
import type { AgentState } from "../status/state.ts";
import { probeAddress } from "./probe_address.ts";
import type { ProbeTarget } from "./probe_service.ts";

/** What is asked. */
export interface ProbePlaceParts {
  readonly clock: Pick<Clock, "monotonic">;
  readonly state: Pick<AgentState, "facts" | "warnings">;
  readonly network: () =>
    | Pick<Network, "plan"> & {
      readonly backend: Pick<
        Network["backend"],
        "directDevices" | "formerDevices"
      >;
    }
    | undefined;
  /** As the lease has it; `undefined` for a backend without a choice. */
  readonly dataPath: () => DataPathName | undefined;
}

/** The devices depend on all routes of the host, which are many. */
const DEVICES_MS = 10_000;

/** See the module. */
export class ProbePlace {
  readonly #parts: ProbePlaceParts;
  #direct: readonly string[] = [];
  #lookAtMs = -Infinity;

  constructor(parts: ProbePlaceParts) {
    this.#parts = parts;
  }

  /** `undefined` while no packets are carried. */
  target(): ProbeTarget | undefined {
    const { dataPath, state } = this.#parts;
    const network = this.#parts.network();
    const { overlay } = state.facts;
    const isDown = state.warnings().some(({ code }) =>
      code === "data-path.down" || code === "data-path.not-started"
    );
    if (network === undefined || overlay === null || isDown) return undefined;
    const { backend, plan: { config, subnet, underlay } } = network;
    const { type } = config.backend;
    const devices = [
      overlay.device,
      ...backend.formerDevices,
      ...this.#directDevices(backend),
    ].filter((name) => name !== null);
    return {
      address: probeAddress(subnet, type),
      backendType: type,
      mtuBytes: overlay.mtuBytes,
      // What carries packets is unknown with alloc and extension.
      ...devices.length > 0
        ? { devices, dataPath: dataPath() ?? type }
        : { devices: [underlay.interfaceName], dataPath: undefined },
    };
  }

  #directDevices(
    backend: Pick<Network["backend"], "directDevices">,
  ): readonly string[] {
    const nowMs = this.#parts.clock.monotonic();
    if (nowMs >= this.#lookAtMs) {
      this.#direct = backend.directDevices() ?? [];
      // It is not known yet right after the start.
      this.#lookAtMs = this.#direct.length === 0 ? nowMs : nowMs + DEVICES_MS;
    }
    return this.#direct;
  }
}
