/**
 * Attaches programs so that each is the only one of its network at its hook.
 *
 * @module
 */

import type {
  AttachedProgram,
  Bpf,
  BpfProgram,
  Direction,
  XdpProgram,
} from "../../../linux/bpf/bpf.ts";
import { programName } from "./programs/programs.ts";

/** What {@linkcode ensureAttached} found or did. */
export interface AttachResult {
  readonly attached: AttachedProgram;
  /** Whether anything was changed. */
  readonly changed: boolean;
}

/** The program of that name which runs at a device. */
export function attachedProgram(
  bpf: Bpf,
  interfaceIndex: number,
  direction: Direction,
  name: string,
): AttachedProgram | undefined {
  return bpf.attachedPrograms(interfaceIndex, direction)
    .find((attached) => attached.name === name);
}

/**
 * Attaches a program to a device and atomically replaces the one with its name.
 * Does nothing if it is already the only one.
 */
export function ensureAttached(
  bpf: Bpf,
  interfaceIndex: number,
  direction: Direction,
  program: BpfProgram,
): AttachResult {
  const [current, ...others] = bpf.attachedPrograms(interfaceIndex, direction)
    .filter(({ name }) => name === program.name);
  // Two of one name: an agent that attached differently left one.
  for (const other of others) bpf.detach(interfaceIndex, direction, other);
  if (current?.id === program.id) {
    return { attached: current, changed: others.length > 0 };
  }
  const attached = bpf.attach(interfaceIndex, direction, program, {
    replace: current,
  });
  return { attached, changed: true };
}

/**
 * Detaches a network's programs from an underlay device; returns whether there
 * were any.
 */
export function detachFromUnderlay(
  bpf: Bpf,
  interfaceIndex: number,
  suffix: string,
): boolean {
  // First, because only the other program can handle what this one strips.
  let found = detachXdp(bpf, interfaceIndex, suffix);
  const name = programName("ingress", suffix);
  for (const attached of bpf.attachedPrograms(interfaceIndex, "ingress")) {
    if (attached.name !== name) continue;
    found = bpf.detach(interfaceIndex, "ingress", attached) || found;
  }
  return found;
}

/** The network's XDP program; one of another program does not count. */
export function ownXdp(
  bpf: Bpf,
  interfaceIndex: number,
  suffix: string,
): XdpProgram | undefined {
  const current = bpf.xdp(interfaceIndex);
  if (current === undefined) return undefined;
  using program = bpf.openProgram(current.id);
  return program?.name === programName("xdp", suffix) ? current : undefined;
}

/** Detaches a network's XDP program; returns whether it was there. */
export function detachXdp(
  bpf: Bpf,
  interfaceIndex: number,
  suffix: string,
): boolean {
  const own = ownXdp(bpf, interfaceIndex, suffix);
  if (own === undefined) return false;
  bpf.setXdp(interfaceIndex, undefined, { replaceId: own.id });
  return true;
}

/**
 * Attaches an XDP program in the driver and replaces the network's own if there
 * is one; returns whether it was new. Throws {@linkcode BpfError}, `EBUSY` if
 * another program's is attached.
 */
export function ensureXdp(
  bpf: Bpf,
  interfaceIndex: number,
  program: BpfProgram,
  suffix: string,
): boolean {
  const own = ownXdp(bpf, interfaceIndex, suffix);
  if (own?.id === program.id) return false;
  bpf.setXdp(interfaceIndex, program, { replaceId: own?.id });
  return true;
}
