/**
 * What the tests of the wireguard backend share.
 *
 * @module
 */

import type { RigHost } from "../rig/host.ts";
import { program } from "./programs/path.ts";

export const WIREGUARD_DEVICE = "flannel-wg";
/** What every host of the tests' networks knows. */
export const PSK = new Uint8Array(32).fill(0x37).toBase64();

/** What `programs/wireguard.ts` prints. */
export interface Shown {
  readonly publicKey: string;
  readonly listenPort: number;
  readonly peers: readonly {
    readonly publicKey: string;
    readonly allowedIps: readonly unknown[];
  }[];
}

/** Runs `programs/wireguard.ts` on a host. */
export async function wireguard(
  { namespace }: RigHost,
  verb: "show" | "clear" | "add",
): Promise<Shown> {
  return JSON.parse(
    await namespace.run(program("wireguard.ts", WIREGUARD_DEVICE, verb)),
  );
}
