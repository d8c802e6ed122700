/**
 * The maps of an earlier agent, taken over.
 *
 * They hold the peers by which packets flow at this moment. A map that this
 * version would make in the same way is used on; of another kind, a new one is
 * made, and the programs are replaced only when it has been filled.
 *
 * @module
 */

import type { Bpf, BpfMap, MapSpec } from "../../../linux/bpf/bpf.ts";
import { attachedProgram } from "./attachments.ts";
import { type MapName, MAPS, type Maps } from "./maps.ts";
import { programName } from "./programs/programs.ts";

/** What was found, and what had to be made. */
export interface AdoptedMaps {
  readonly maps: Maps;
  /**
   * - `no` program runs; it runs `here`, with these maps;
   * - or `elsewhere`, with maps of another kind.
   */
  readonly running: "no" | "here" | "elsewhere";
}

/**
 * Finds the maps of the program at the overlay device's other end, which uses all
 * of them, and makes the rest.
 */
export function adoptMaps(
  bpf: Bpf,
  otherEndIndex: number,
  suffix: string,
): AdoptedMaps {
  const attached = attachedProgram(
    bpf,
    otherEndIndex,
    "ingress",
    programName("hop", suffix),
  );
  const found = attached === undefined ? [] : mapsOf(bpf, attached.id);
  try {
    const maps = Object.fromEntries(
      Object.entries(MAPS).map(([name, spec]) => {
        const index = found.findIndex((map) => isLike(map, spec));
        return [
          name,
          index < 0 ? bpf.createMap(spec) : found.splice(index, 1)[0]!,
        ];
      }),
    ) as Record<MapName, BpfMap>;
    return {
      maps,
      running: attached === undefined
        ? "no"
        : wasFound(bpf, attached.id, maps)
        ? "here"
        : "elsewhere",
    };
  } finally {
    for (const map of found) map[Symbol.dispose]();
  }
}

/** Whether the program looks its peers up in these maps. */
function wasFound(bpf: Bpf, programId: number, maps: Maps): boolean {
  using program = bpf.openProgram(programId);
  return program?.mapIds.includes(maps.loden_peers.id) ?? false;
}

function mapsOf(bpf: Bpf, programId: number): BpfMap[] {
  using program = bpf.openProgram(programId);
  return (program?.mapIds ?? []).map((id) => bpf.openMap(id))
    .filter((map) => map !== undefined);
}

function isLike(map: BpfMap, spec: MapSpec): boolean {
  return map.name === spec.name && map.type === spec.type &&
    map.keyBytes === spec.keyBytes && map.valueBytes === spec.valueBytes &&
    map.maxEntries === spec.maxEntries;
}
