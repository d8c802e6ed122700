/**
 * One entry of the list of backends: what the rest of Loden knows about it.
 *
 * @module
 */

import type { GenericSchema } from "valibot";
import type { Underlay } from "../net/underlay.ts";
import type { Backend } from "./backend.ts";
import type { UdpBackendParts, UdpSettings } from "./udp/udp_backend.ts";

/** The host that backends run on. */
export interface BackendHost {
  /** The interfaces to the kernel, held as long as the process runs. */
  readonly parts: UdpBackendParts;
  /** The alias that marks this network's devices. */
  readonly deviceAlias: string;
  /** Flags of the udp backend; the others have none. */
  readonly udp: UdpSettings;
}

/** The options of a network config's `Backend`, checked, by flannel's names. */
export type BackendOptions = Readonly<Record<string, unknown>>;

/** A backend that a network config may name. */
export interface BackendDescriptor {
  /** flannel's name, in lower case. */
  readonly type: string;
  /**
   * Options by flannel's names, each optional; the messages end the sentence "…
   * must be".
   */
  readonly options: Readonly<Record<string, GenericSchema>>;
  /** A valid value of each option, for error messages. */
  readonly examples: Readonly<Record<string, unknown>>;
  /** The overlay's MTU, given the underlay's. */
  overlayMtuBytes(options: BackendOptions, underlayMtuBytes: number): number;
  /**
   * Name or pattern of the overlay's device; `undefined` without one.
   *
   * @param device `--device`, which the backends with names of their own ignore.
   */
  deviceName(options: BackendOptions, device: string): string | undefined;
  /**
   * A backend that is not started. It advertises what the lease must carry from
   * its first value on.
   */
  create(
    host: BackendHost,
    options: BackendOptions,
    underlay: Underlay,
  ): Backend;
}
