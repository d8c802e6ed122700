/**
 * What the kernel holds of eBPF, as bpftool(8) sees it: with other eyes than the
 * ones that put it there.
 *
 * Programs and maps belong to the whole machine, the places where programs run
 * to a namespace: look for the places, and from there on by number.
 *
 * @module
 */

import { attempt } from "../../tools/command.ts";
import type { NetNamespace } from "./namespace.ts";

/** A program at a device of a namespace. */
export interface PlacedProgram {
  readonly id: number;
  readonly device: string;
  /** As bpftool calls it: `tcx/ingress`, `clsact/egress`, `xdp/driver` … */
  readonly hook: string;
}

/** A program or a map of the machine. */
export interface BpfObject {
  readonly kind: "prog" | "map";
  readonly id: number;
}

/** Every program at a device of the namespace. */
export async function placedPrograms(
  namespace: NetNamespace,
): Promise<PlacedProgram[]> {
  const [found] = JSON.parse(
    await namespace.run(["bpftool", "--json", "net", "show"]),
  );
  const xdp = found.xdp.flatMap((each: Xdp) =>
    each.multi_attachments
      ? each.multi_attachments.map((one) => ({ ...each, ...one }))
      : [each]
  ).map(({ devname, id, mode }: Xdp) => ({
    id,
    device: devname,
    hook: `xdp/${mode}`,
  }));
  const tc = found.tc.map(({ devname, id, kind, prog_id }: Tc) => ({
    id: prog_id ?? id,
    device: devname,
    hook: kind,
  }));
  return [...xdp, ...tc];
}

interface Xdp {
  readonly devname: string;
  readonly id: number;
  readonly mode: string;
  readonly multi_attachments?: readonly { id: number; mode: string }[];
}

interface Tc {
  readonly devname: string;
  readonly kind: string;
  readonly id: number;
  readonly prog_id?: number;
}

/** The programs and the maps that they use. */
export async function objectsOf(
  programs: readonly PlacedProgram[],
): Promise<BpfObject[]> {
  const maps = new Set<number>();
  const ids = new Set(programs.map(({ id }) => id));
  for (const id of ids) {
    const shown = await show({ kind: "prog", id });
    for (const map of shown?.map_ids ?? []) maps.add(map);
  }
  return [
    ...[...ids].map((id) => ({ kind: "prog", id }) as const),
    ...[...maps].map((id) => ({ kind: "map", id }) as const),
  ];
}

/** The name of a program or a map; `undefined` when there is none (any more). */
export async function nameOf(object: BpfObject): Promise<string | undefined> {
  return (await show(object))?.name;
}

async function show(
  { kind, id }: BpfObject,
): Promise<{ name: string; map_ids?: number[] } | undefined> {
  const { exitCode, stderr, stdout } = await attempt([
    ...["bpftool", "--json", kind, "show", "id", String(id)],
  ]);
  if (exitCode === 0) return JSON.parse(stdout);
  if (/No such file/.test(stdout + stderr)) return undefined;
  throw new Error(`Cannot look at ${kind} ${id}: ${stdout}${stderr}`);
}
