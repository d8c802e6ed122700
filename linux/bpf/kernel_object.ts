/**
 * What maps and programs have in common: descriptors of objects with ids.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { libc } from "../libc.ts";
import { BpfError } from "./errors.ts";
import { BY_ID, COMMAND } from "./layouts.ts";
import { Structure } from "./structure.ts";
import { tryBpf } from "./system_call.ts";

/** Kinds of objects, by the commands that open them. */
const OPENED_BY = {
  map: COMMAND.mapById,
  program: COMMAND.programById,
} as const;

/**
 * The object with that id; `undefined` when there is none. Throws
 * {@linkcode BpfError}, and what `make` throws.
 */
export function openById<KernelObject>(
  kind: keyof typeof OPENED_BY,
  id: number,
  make: (descriptor: number) => KernelObject,
): KernelObject | undefined {
  const descriptor = tryBpf(
    OPENED_BY[kind],
    new Structure(BY_ID).set("id", id),
  );
  if (descriptor === -ERRNO.ENOENT) return undefined;
  if (descriptor < 0) throw new BpfError(`open the ${kind} ${id}`, -descriptor);
  return owned(descriptor, make);
}

/** The result of `make` for a descriptor, which is closed if `make` throws. */
export function owned<KernelObject>(
  descriptor: number,
  make: (descriptor: number) => KernelObject,
): KernelObject {
  try {
    return make(descriptor);
  } catch (error) {
    libc().close(descriptor);
    throw error;
  }
}
