/**
 * One entry of the list of backends: what the rest of Loden knows about it.
 *
 * @module
 */

import type { GenericSchema } from "valibot";
import type { Underlay } from "../net/underlay.ts";
import type { LodenError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import type { Inspector } from "./inspection.ts";
import type { ExtensionHost } from "./extension/extension_backend.ts";
import type { UdpBackendParts, UdpSettings } from "./udp/udp_backend.ts";
import type { VxlanBackendOptions } from "./vxlan/vxlan_options.ts";
import type { WireguardHost } from "./wireguard/wireguard_host.ts";

/** The host that backends run on. */
export interface BackendHost {
  /** The interfaces to the kernel, held as long as the process runs. */
  readonly parts: UdpBackendParts;
  /** The alias that marks this network's devices. */
  readonly deviceAlias: string;
  /** Flags of the udp backend. */
  readonly udp: UdpSettings;
  /** Flags of the vxlan backend. */
  readonly vxlan: Pick<VxlanBackendOptions, "txChecksum">;
  /** What the extension backend needs. */
  readonly extension: ExtensionHost;
  /** What the wireguard backend needs. */
  readonly wireguard: WireguardHost;
}

/** What the host's administrator allows. */
export interface BackendPermissions {
  /** Whether commands of the network config may run. */
  readonly allowsCommands: boolean;
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
  /** Options whose values no log and no error shows. */
  readonly secretOptions?: readonly string[];
  /** Whether the host keeps a private key for it. */
  readonly hasKey?: true;
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
  /** Why this host does not use the backend; absent: it does. */
  refusal?(permissions: BackendPermissions): LodenError | undefined;
  /**
   * Why this host cannot run the backend, as far as can be seen without changing
   * anything. Absent: nothing can be missing.
   */
  obstacle?(): string | undefined;
  /**
   * Why this backend does not run beside the former one while the hosts change to
   * it: ends the sentence "Hosts that have changed do not reach the others,
   * because …". Absent: both run until every host has changed.
   */
  readonly runsAlone?: string;
  /**
   * Whether packets leave encrypted. Then nothing starts while a route of another
   * backend could take them.
   */
  readonly encrypts?: boolean;
  /** The UDP port of the agent's own socket, if it needs one. */
  socketPort?(options: BackendOptions): number;
  /** Whether `--datapath` chooses between its data paths. */
  readonly hasDataPaths?: boolean;
  /** Kinds of its devices, if a device of another name is its own as well. */
  readonly deviceKinds?: readonly string[];
  /** Whether it routes to peers directly by the underlay's devices. */
  routesByUnderlay?(options: BackendOptions): boolean;
  /** How `loden explain` looks at what it has set up. */
  inspector(options: BackendOptions): Inspector;
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
