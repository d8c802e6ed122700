/**
 * Takes over the maps of an earlier agent.
 *
 * They hold the peers that packets use at this moment. A map with the
 * specification of this version is kept. Otherwise a new map is created, and
 * the programs are replaced only after it is filled.
 *
 * @module
 */

import type { Bpf, BpfMap, MapSpec } from "../../../linux/bpf/bpf.ts";
import { BadBpfSpecError } from "../../../linux/bpf/errors.ts";
import { attachedProgram } from "./attachments.ts";
import { isForDrops, type MapName, MAPS, type Maps } from "./maps.ts";
import { programName } from "./programs/programs.ts";

/** What was found, and what had to be created. */
export interface AdoptedMaps {
  readonly maps: Maps;
  /**
   * - `no` program runs; it runs `here`, with these maps;
   * - or `elsewhere`, with maps of another kind.
   */
  readonly running: "no" | "here" | "elsewhere";
}

/**
 * Finds the maps of the program on the hop, which uses all of them, and creates
 * the rest.
 */
export function adoptMaps(
  bpf: Bpf,
  hopIndex: number,
  suffix: string,
  { recordsDrops }: { readonly recordsDrops: boolean } = { recordsDrops: true },
): AdoptedMaps {
  const attached = attachedProgram(
    bpf,
    hopIndex,
    "ingress",
    programName("hop", suffix),
  );
  using found = new DisposableStack();
  const candidates = attached === undefined
    ? []
    : mapsOf(bpf, attached.id, found);
  using used = new DisposableStack();
  const maps = Object.fromEntries(
    Object.entries(MAPS).filter(([name]) => recordsDrops || !isForDrops(name))
      .map(([name, spec]) => {
        const like = candidates.find((map) => isLike(map, spec));
        // Opened again, because what was found is closed here.
        const map = (like && bpf.openMap(like.id)) ?? bpf.createMap(spec);
        return [name, used.use(map)];
      }),
  ) as Record<MapName, BpfMap>;
  const running = attached === undefined
    ? "no"
    : wasFound(bpf, attached.id, maps)
    ? "here"
    : "elsewhere";
  used.move();
  return { maps, running };
}

/** Whether the program looks its peers up in these maps. */
function wasFound(bpf: Bpf, programId: number, maps: Maps): boolean {
  using program = bpf.openProgram(programId);
  return program?.mapIds.includes(maps.loden_peers.id) ?? false;
}

function mapsOf(
  bpf: Bpf,
  programId: number,
  opened: DisposableStack,
): BpfMap[] {
  using program = bpf.openProgram(programId);
  return (program?.mapIds ?? []).flatMap((id) => {
    const map = openIfKnown(bpf, id);
    return map === undefined ? [] : [opened.use(map)];
  });
}

/** A later version's program may use unknown kinds of maps. */
function openIfKnown(bpf: Bpf, id: number): BpfMap | undefined {
  try {
    return bpf.openMap(id);
  } catch (error) {
    if (error instanceof BadBpfSpecError) return undefined;
    throw error;
  }
}

function isLike(map: BpfMap, spec: MapSpec): boolean {
  return map.name === spec.name && map.type === spec.type &&
    map.keyBytes === spec.keyBytes && map.valueBytes === spec.valueBytes &&
    map.maxEntries === spec.maxEntries;
}
