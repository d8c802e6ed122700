/**
 * A path by its name.
 *
 * @module
 */

import type { Rig } from "../../tests/rig/rig.ts";
import { FASTD } from "./fastd.ts";
import { isLodenPathName, LodenPath } from "./loden_path.ts";
import type { MeasuredPath } from "./measured_path.ts";
import { NEBULA } from "./nebula.ts";
import type { PathName } from "./path_names.ts";
import { createPeerPath } from "./peer_network.ts";
import { createUnderlayPath, createVxlanPath } from "./plain_paths.ts";
import { WIREGUARD_GO } from "./wireguard_go.ts";

/** Brings it up in a fresh rig of two hosts. */
export async function createPath(
  name: PathName,
  rig: Rig,
  signal: AbortSignal,
): Promise<MeasuredPath> {
  if (isLodenPathName(name)) return await LodenPath.create(name, rig, signal);
  switch (name) {
    case "underlay":
      return await createUnderlayPath(rig, signal);
    case "vxlan":
      return await createVxlanPath(rig, signal);
    case "fastd":
      return await createPeerPath(FASTD, rig, signal);
    case "wireguard-go":
      return await createPeerPath(WIREGUARD_GO, rig, signal);
    case "nebula":
      return await createPeerPath(NEBULA, rig, signal);
  }
}
