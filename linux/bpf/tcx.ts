/**
 * The `tcx` hooks of a device: an ordered list of programs for each direction,
 * Linux 6.6.
 *
 * Source: `kernel/bpf/tcx.c`, `kernel/bpf/mprog.c`.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import type { BpfProgram, Direction } from "./bpf.ts";
import { BpfError } from "./errors.ts";
import { COMMAND, PROGRAM_ATTACH, PROGRAM_QUERY } from "./layouts.ts";
import { fixedBytes, Structure } from "./structure.ts";
import { bpf, tryBpf } from "./system_call.ts";

/** BPF_TCX_INGRESS, BPF_TCX_EGRESS. */
const ATTACH_TYPE: Readonly<Record<Direction, number>> = {
  ingress: 46,
  egress: 47,
};
/** BPF_F_REPLACE. */
const REPLACE = 1 << 2;
/** BPF_MPROG_MAX: no list is longer. */
const MOST_PROGRAMS = 64;

/**
 * The ids of the programs of a device, in their order; `undefined` where the
 * kernel has no such hooks.
 */
export function tcxProgramIds(
  interfaceIndex: number,
  direction: Direction,
): number[] | undefined {
  const ids = fixedBytes(MOST_PROGRAMS * 4);
  const attributes = new Structure(PROGRAM_QUERY)
    .set("interfaceIndex", interfaceIndex)
    .set("attachType", ATTACH_TYPE[direction])
    .point("programIds", ids)
    .set("count", MOST_PROGRAMS);
  const result = tryBpf(COMMAND.programQuery, attributes);
  switch (result) {
    case -ERRNO.EINVAL:
      return undefined;
    case -ERRNO.ENOENT:
    case -ERRNO.ENODEV:
      return [];
  }
  if (result < 0) {
    throw new BpfError(
      `list the ${direction} programs of interface ${interfaceIndex}`,
      -result,
    );
  }
  return [...new Uint32Array(ids.buffer, 0, attributes.get("count"))];
}

/** Attaches a program after the others, or in place of `replaced`. */
export function attachTcx(
  interfaceIndex: number,
  direction: Direction,
  program: BpfProgram,
  replaced: BpfProgram | undefined,
): void {
  const attributes = new Structure(PROGRAM_ATTACH)
    .set("interfaceIndex", interfaceIndex)
    .set("program", program.descriptor)
    .set("attachType", ATTACH_TYPE[direction]);
  if (replaced !== undefined) {
    attributes
      .set("flags", REPLACE)
      .set("replacedProgram", replaced.descriptor);
  }
  bpf(
    `attach ${program.name} to ${direction} of interface ${interfaceIndex}`,
    COMMAND.programAttach,
    attributes,
  );
}

/** Whether the program was there. */
export function detachTcx(
  interfaceIndex: number,
  direction: Direction,
  program: BpfProgram,
): boolean {
  const result = tryBpf(
    COMMAND.programDetach,
    new Structure(PROGRAM_ATTACH)
      .set("interfaceIndex", interfaceIndex)
      .set("program", program.descriptor)
      .set("attachType", ATTACH_TYPE[direction]),
  );
  if (result === -ERRNO.ENOENT || result === -ERRNO.ENODEV) return false;
  if (result < 0) {
    throw new BpfError(
      `detach ${program.name} from ${direction} of interface ${interfaceIndex}`,
      -result,
    );
  }
  return true;
}
