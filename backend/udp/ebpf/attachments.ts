/**
 * Programs at their places, each the only one of its network there.
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
export interface Ensured {
  readonly attached: AttachedProgram;
  /** Whether it was not so before. */
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
 * Lets a program run at a device, in the place of the one with its name: between
 * two packets. Nothing happens where it runs already, alone.
 */
export function ensureAttached(
  bpf: Bpf,
  interfaceIndex: number,
  direction: Direction,
  program: BpfProgram,
): Ensured {
  const [current, ...others] = bpf.attachedPrograms(interfaceIndex, direction)
    .filter(({ name }) => name === program.name);
  // Two of one name: left by an agent that attached the other way.
  for (const other of others) bpf.detach(interfaceIndex, direction, other);
  if (current?.id === program.id) {
    return { attached: current, changed: others.length > 0 };
  }
  const attached = bpf.attach(interfaceIndex, direction, program, {
    replace: current,
  });
  return { attached, changed: true };
}

/** Takes a network's programs off an underlay device. Says whether any was there. */
export function detachFromUnderlay(
  bpf: Bpf,
  interfaceIndex: number,
  suffix: string,
): boolean {
  // First: what it strips, only the other one can take.
  let found = detachXdp(bpf, interfaceIndex, suffix);
  const name = programName("ingress", suffix);
  for (const attached of bpf.attachedPrograms(interfaceIndex, "ingress")) {
    if (attached.name !== name) continue;
    found = bpf.detach(interfaceIndex, "ingress", attached) || found;
  }
  return found;
}

/** The network's program at the driver; another's is none. */
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

/** Takes a network's program off the driver. Says whether it was there. */
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
 * Puts a program to the driver, in the place of the network's own if there is
 * one. Says whether it was not there already. Throws {@linkcode BpfError}, `EBUSY`
 * when somebody else's is there.
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
