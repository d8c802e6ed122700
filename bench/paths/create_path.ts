/**
 * A path by its name.
 *
 * @module
 */

import type { Rig } from "../../tests/rig/rig.ts";
import { AgentsPath, startAgents } from "./agents_path.ts";
import { FASTD } from "./fastd.ts";
import type { MeasuredPath } from "./measured_path.ts";
import { NEBULA } from "./nebula.ts";
import { isKernelBackendPathName, type PathName } from "./path_names.ts";
import { createPeerPath } from "./peer_network.ts";
import { createUnderlayPath, createVxlanPath } from "./plain_paths.ts";
import { isUdpPathName, UdpPath } from "./udp_path.ts";
import { WIREGUARD_GO } from "./wireguard_go.ts";

/** Brings it up in a fresh rig of two hosts. */
export async function createPath(
  name: PathName,
  rig: Rig,
  signal: AbortSignal,
): Promise<MeasuredPath> {
  if (isUdpPathName(name)) return await UdpPath.create(name, rig, signal);
  if (isKernelBackendPathName(name)) {
    const backend = { Type: name.replace("loden-", "") };
    return new AgentsPath(
      name,
      rig,
      await startAgents(rig, backend, () => [], signal),
    );
  }
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
