/**
 * Lets every peer of the kernel data path in this namespace expire.
 *
 * usage: expire_peers.ts DEVICE
 *
 * @module
 */

import {
  decodePeer,
  encodePeer,
  MAPS,
} from "../../../backend/udp/ebpf/maps.ts";
import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";
import { KernelRtnetlink } from "../../../linux/netlink/kernel_rtnetlink.ts";

using rtnetlink = new KernelRtnetlink();
using bpf = new KernelBpf();
const [device] = Deno.args;
const index = rtnetlink.links().find(({ name }) => name === device)?.index;
for (const { id } of bpf.attachedPrograms(index ?? 0, "egress")) {
  using program = bpf.openProgram(id);
  for (const mapId of program?.mapIds ?? []) {
    using map = bpf.openMap(mapId);
    if (map?.name !== MAPS.loden_peers.name) continue;
    map.updateMany(
      map.entries().map(({ key, value }) => ({
        key,
        value: encodePeer({ ...decodePeer(value), deadlineNs: 1n }),
      })),
    );
  }
}
