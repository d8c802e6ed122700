/**
 * What the wireguard backend needs of the host that it runs on.
 *
 * @module
 */

import { KernelWireguard } from "../../linux/netlink/kernel_wireguard.ts";
import type { Wireguard } from "../../linux/netlink/wireguard.ts";
import {
  KeyFile,
  type KeyFileOptions,
  type WireguardKeys,
} from "./key_file.ts";

/** Held as long as the process runs. */
export interface WireguardHost {
  /** Opened by the first call: hosts of other networks need none. */
  readonly netlink: () => Wireguard;
  readonly keys: WireguardKeys;
}

/** The kernel's, with the key in this file. */
export function wireguardHost(key: KeyFileOptions): WireguardHost {
  let opened: Wireguard | undefined;
  return {
    netlink: () => opened ??= new KernelWireguard(),
    keys: new KeyFile(key),
  };
}
