/**
 * A program of the kernel.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { cString, libc } from "../libc.ts";
import { assemble, instructionAt, SLOT_BYTES } from "./assemble.ts";
import type { BpfProgram, ProgramSpec } from "./bpf.ts";
import { describe } from "./describe.ts";
import { BpfError, ProgramRefusedError } from "./errors.ts";
import { openById, owned } from "./kernel_object.ts";
import {
  COMMAND,
  OBJECT_INFO,
  PROGRAM_INFO,
  PROGRAM_INFO_BYTES,
  PROGRAM_LOAD,
  TAG_BYTES,
} from "./layouts.ts";
import { withPlaces } from "./source_place.ts";
import { checkName, PROGRAM_TYPES } from "./spec.ts";
import { fixedBytes, fixedCopy, Structure } from "./structure.ts";
import { bpf, tryBpf, tryBpfWithMemory } from "./system_call.ts";
import { lastLines, refusedSlot } from "./verifier_log.ts";

/** BPF_F_XDP_HAS_FRAGS. */
const XDP_HAS_FRAGMENTS = 1 << 5;
/** MAX_USED_MAPS. */
const MOST_MAPS = 64;
const LOG_LEVEL = 1;
/**
 * Sizes of the log buffer, tried in turn; the log is long if the program has
 * loops.
 */
const LOG_BYTES = [1 << 16, 1 << 20, 1 << 24];

/** Assembles a program and loads it into the kernel. */
export function loadKernelProgram(spec: ProgramSpec): KernelProgram {
  checkName(`load the program ${spec.name}`, spec.name);
  const maps = descriptorsOf(spec);
  let code: Uint8Array<ArrayBuffer>;
  try {
    code = assemble(spec.build(), { maps });
  } catch {
    // Build again with source places: this throws the better error.
    code = assemble(withPlaces(spec.build), { maps });
  }
  const attributes = new Structure(PROGRAM_LOAD)
    .set("type", PROGRAM_TYPES[spec.type])
    .set("slots", code.length / SLOT_BYTES)
    .point("instructions", code)
    .point("license", fixedCopy(cString(spec.license ?? "GPL")))
    .set("flags", spec.xdpFragments ? XDP_HAS_FRAGMENTS : 0)
    .setName("name", spec.name);
  const descriptor = tryBpfWithMemory(COMMAND.programLoad, attributes);
  if (descriptor < 0) throw refusal(spec, attributes, -descriptor);
  return owned(descriptor, (own) => new KernelProgram(own));
}

/** The program with that id; `undefined` when there is none. */
export function openKernelProgram(id: number): KernelProgram | undefined {
  return openById(
    "program",
    id,
    (descriptor) => new KernelProgram(descriptor),
  );
}

/** A descriptor of a program. */
class KernelProgram implements BpfProgram {
  readonly id: number;
  readonly name: string;
  readonly tag: string;
  readonly mapIds: readonly number[];
  #descriptor: number;

  /** @param descriptor Of a program; it is closed with this. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    const mapIds = fixedBytes(MOST_MAPS * 4);
    const info = new Structure(PROGRAM_INFO, PROGRAM_INFO_BYTES)
      .set("mapCount", MOST_MAPS)
      .point("mapIds", mapIds);
    bpf(
      "read what a program is",
      COMMAND.objectInfo,
      new Structure(OBJECT_INFO)
        .set("object", descriptor)
        .set("infoBytes", info.bytes.length)
        .point("info", info.bytes),
    );
    this.id = info.get("id");
    this.name = info.getName("name");
    this.tag = info.getBytes("tag", TAG_BYTES).toHex();
    this.mapIds = [
      ...new Uint32Array(mapIds.buffer, 0, info.get("mapCount")),
    ];
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }
}

function descriptorsOf({ maps = {} }: ProgramSpec): Record<string, number> {
  return Object.fromEntries(
    Object.entries(maps).map(([name, map]) => [name, map.descriptor]),
  );
}

/** Loads the program again to get the reason of the refusal. */
function refusal(
  spec: ProgramSpec,
  attributes: Structure<typeof PROGRAM_LOAD>,
  errno: number,
): Error {
  const log = verifierLog(attributes);
  if (log === "") return new BpfError(`load the program ${spec.name}`, errno);
  const slot = refusedSlot(log);
  const instruction = slot === undefined
    ? undefined
    : instructionAt(withPlaces(spec.build), slot);
  return new ProgramRefusedError(spec.name, {
    errno,
    kernelRelease: Deno.osRelease(),
    log: lastLines(log),
    instruction: instruction && describe(instruction),
    place: instruction?.place,
  });
}

/** Empty if the verifier was not reached or accepted the program this time. */
function verifierLog(attributes: Structure<typeof PROGRAM_LOAD>): string {
  for (const bytes of LOG_BYTES) {
    const memory = fixedBytes(bytes);
    const result = tryBpf(
      COMMAND.programLoad,
      attributes
        .set("logLevel", LOG_LEVEL)
        .set("logBytes", bytes)
        .point("log", memory),
    );
    if (result >= 0) {
      libc().close(result);
      return "";
    }
    // Truncated. Before Linux 6.4 the end with the reason is missing.
    if (result === -ERRNO.ENOSPC && bytes !== LOG_BYTES.at(-1)) continue;
    return new TextDecoder().decode(memory.subarray(0, memory.indexOf(0)));
  }
  return "";
}
