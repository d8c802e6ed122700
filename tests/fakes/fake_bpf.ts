/**
 * The kernel's eBPF in memory, as far as `tests/contract/bpf_contract.ts` asks:
 * maps hold entries, programs are kept as instructions and run nowhere, devices
 * have hooks in an order. Objects live, as in the kernel, for as long as
 * somebody holds or uses them.
 *
 * @module
 */

import { assemble } from "../../linux/bpf/assemble.ts";
import type {
  AttachedProgram,
  Bpf,
  BpfMap,
  BpfProgram,
  Direction,
  MapSpec,
  MapType,
  ProgramSpec,
  ProgramType,
  RingReader,
  TestRun,
  TestRunResult,
  XdpProgram,
} from "../../linux/bpf/bpf.ts";
import { BpfError, ProgramRefusedError } from "../../linux/bpf/errors.ts";
import { type HelperName, helperName } from "../../linux/bpf/helpers.ts";
import { call, type Instruction } from "../../linux/bpf/instructions.ts";
import { checkMapSpec, checkName, checkRingMap } from "../../linux/bpf/spec.ts";
import { withPlaces } from "../../linux/bpf/source_place.ts";
import { ERRNO } from "../../linux/errno.ts";
import {
  FakeBpfMap,
  type FakeMapRecord,
  newFakeMapRecord,
} from "./fake_bpf_map.ts";

/** What there is beside the kernel's usual. */
export interface FakeBpfOptions {
  /** As in {@linkcode KernelBpfOptions}. */
  readonly tcx?: boolean;
  /** Possible CPUs; 2 unless told. */
  readonly cpus?: number;
}

/** A program that was loaded, for tests to look at. */
export interface FakeProgramRecord {
  readonly id: number;
  readonly spec: ProgramSpec;
  readonly instructions: readonly Instruction[];
  readonly tag: string;
  readonly mapIds: readonly number[];
}

type Method = Exclude<keyof Bpf, typeof Symbol.dispose>;

/** Something with an id that is kept by those who use it. */
interface Kept<Value> {
  readonly value: Value;
  uses: number;
}

/** Every device exists until {@linkcode FakeBpf.removeInterface}. */
export class FakeBpf implements Bpf {
  /** Whether programs are attached by `tcx` from now on. */
  tcx: boolean;
  readonly #cpus: number;
  readonly #maps = new Map<number, Kept<FakeMapRecord>>();
  readonly #programs = new Map<number, Kept<FakeProgramRecord>>();
  readonly #hooks = new Map<string, AttachedProgram[]>();
  readonly #xdp = new Map<number, XdpProgram>();
  readonly #goneInterfaces = new Set<number>();
  readonly #withoutNativeXdp = new Set<number>();
  readonly #failures = new Map<Method, Error>();
  readonly #refused = new Set<HelperName | MapType | ProgramType>();
  #testRun: (
    program: FakeProgramRecord,
    run: TestRun,
  ) => TestRunResult = (program) => {
    throw new Error(`no answer to a run of ${program.spec.name} was set`);
  };
  #nextId = 1;
  #nextDescriptor = 100;

  constructor({ tcx = true, cpus = 2 }: FakeBpfOptions = {}) {
    this.tcx = tcx;
    this.#cpus = cpus;
  }

  /** Lets every call of `method` throw `error`, until it is `undefined`. */
  failWith(method: Method, error: Error | undefined): void {
    if (error === undefined) this.#failures.delete(method);
    else this.#failures.set(method, error);
  }

  /** The kernel is built without a helper, a kind of maps or of programs. */
  refuse(what: HelperName | MapType | ProgramType): void {
    this.#refused.add(what);
  }

  /** What {@linkcode testRun} answers. */
  answerTestRuns(
    answer: (program: FakeProgramRecord, run: TestRun) => TestRunResult,
  ): void {
    this.#testRun = answer;
  }

  /** The device is unplugged, and its programs with it. */
  removeInterface(interfaceIndex: number): void {
    for (const direction of ["ingress", "egress"] as const) {
      for (const { id } of this.#hook(interfaceIndex, direction)) {
        this.#dropProgram(id);
      }
      this.#hooks.delete(hookName(interfaceIndex, direction));
    }
    const xdp = this.#xdp.get(interfaceIndex);
    if (xdp !== undefined) this.#dropProgram(xdp.id);
    this.#xdp.delete(interfaceIndex);
    this.#goneInterfaces.add(interfaceIndex);
  }

  /** The device's driver knows no XDP, as that of the loopback. */
  removeNativeXdp(interfaceIndex: number): void {
    this.#withoutNativeXdp.add(interfaceIndex);
  }

  /** The programs that there are, by their ids. */
  get programs(): FakeProgramRecord[] {
    return [...this.#programs.values()].map(({ value }) => value);
  }

  /** The maps that there are, by their ids. */
  get maps(): FakeMapRecord[] {
    return [...this.#maps.values()].map(({ value }) => value);
  }

  createMap(spec: MapSpec): BpfMap {
    this.#failIfTold("createMap");
    checkMapSpec(spec);
    if (this.#refused.has(spec.type)) {
      throw new BpfError(`create the map ${spec.name}`, ERRNO.EINVAL);
    }
    const id = this.#nextId++;
    const value = newFakeMapRecord(id, spec, this.#cpus);
    this.#maps.set(id, { value, uses: 0 });
    return this.openMap(id)!;
  }

  loadProgram(spec: ProgramSpec): BpfProgram {
    this.#failIfTold("loadProgram");
    checkName(`load the program ${spec.name}`, spec.name);
    const maps = Object.entries(spec.maps ?? {});
    const descriptors = Object.fromEntries(maps.map(([name, map]) => [
      name,
      map.descriptor,
    ]));
    const instructions = spec.build();
    this.#refuseProgram(spec, instructions);
    const options = { maps: descriptors };
    try {
      assemble(instructions, options);
    } catch {
      // The same with the places, as the kernel's does: it throws.
      assemble(withPlaces(spec.build), options);
    }
    const used = new Set(
      instructions.flatMap((instruction) =>
        instruction.kind === "operation" && instruction.map
          ? [instruction.map.name]
          : []
      ),
    );
    const mapIds = maps.filter(([name]) => used.has(name))
      .map(([, map]) => map.id);
    for (const mapId of mapIds) this.#maps.get(mapId)!.uses++;
    const id = this.#nextId++;
    const value = {
      id,
      spec,
      instructions,
      tag: tagOf(assemble(instructions, {
        maps: Object.fromEntries(maps.map(([name]) => [name, 0])),
      })),
      mapIds,
    };
    this.#programs.set(id, { value, uses: 0 });
    return this.openProgram(id)!;
  }

  openMap(id: number): BpfMap | undefined {
    this.#failIfTold("openMap");
    const kept = this.#maps.get(id);
    if (kept === undefined) return undefined;
    kept.uses++;
    return new FakeBpfMap(
      kept.value,
      this.#nextDescriptor++,
      () => this.#dropMap(id),
    );
  }

  mapRing(map: BpfMap): RingReader {
    this.#failIfTold("mapRing");
    checkRingMap(map);
    const { id } = map;
    const kept = this.#maps.get(id)!;
    kept.uses++;
    const { records } = kept.value;
    let isOpen = true;
    return {
      read: (most) =>
        isOpen ? records.splice(0, most).map((each) => each.slice()) : [],
      discard: () => isOpen && records.splice(0),
      [Symbol.dispose]: () => {
        if (isOpen) this.#dropMap(id);
        isOpen = false;
      },
    };
  }

  openProgram(id: number): BpfProgram | undefined {
    this.#failIfTold("openProgram");
    const kept = this.#programs.get(id);
    if (kept === undefined) return undefined;
    kept.uses++;
    return new FakeBpfProgram(
      kept.value,
      this.#nextDescriptor++,
      () => this.#dropProgram(id),
    );
  }

  testRun(program: BpfProgram, run: TestRun): TestRunResult {
    this.#failIfTold("testRun");
    return this.#testRun(this.#programs.get(program.id)!.value, run);
  }

  hook(): "tcx" | "clsact" {
    this.#failIfTold("hook");
    return this.tcx ? "tcx" : "clsact";
  }

  attachedPrograms(
    interfaceIndex: number,
    direction: Direction,
  ): AttachedProgram[] {
    this.#failIfTold("attachedPrograms");
    const attached = this.#hook(interfaceIndex, direction);
    return ["tcx", "clsact"].flatMap((how) =>
      attached.filter((program) => program.how === how)
    );
  }

  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    { replace }: { replace?: AttachedProgram | undefined } = {},
  ): AttachedProgram {
    this.#failIfTold("attach");
    const what =
      `attach ${program.name} to ${direction} of interface ${interfaceIndex}`;
    this.#requireInterface(what, interfaceIndex);
    const how = this.hook();
    const attached = this.#hook(interfaceIndex, direction);
    const indexOf = (id: number) =>
      attached.findIndex((other) => other.how === how && other.id === id);
    if (indexOf(program.id) >= 0) throw new BpfError(what, ERRNO.EEXIST);
    const added: AttachedProgram = { id: program.id, name: program.name, how };
    if (replace?.how === how) {
      const index = indexOf(replace.id);
      if (index < 0) throw new BpfError(what, ERRNO.ENOENT);
      attached[index] = added;
      this.#dropProgram(replace.id);
    } else {
      attached.push(added);
      if (replace !== undefined) {
        this.detach(interfaceIndex, direction, replace);
      }
    }
    this.#programs.get(program.id)!.uses++;
    return added;
  }

  detach(
    interfaceIndex: number,
    direction: Direction,
    { id, how }: AttachedProgram,
  ): boolean {
    this.#failIfTold("detach");
    const attached = this.#hook(interfaceIndex, direction);
    const index = attached.findIndex((other) =>
      other.id === id && other.how === how
    );
    if (index < 0) return false;
    attached.splice(index, 1);
    this.#dropProgram(id);
    return true;
  }

  xdp(interfaceIndex: number): XdpProgram | undefined {
    this.#failIfTold("xdp");
    this.#requireInterface("read an XDP program", interfaceIndex);
    return this.#xdp.get(interfaceIndex);
  }

  setXdp(
    interfaceIndex: number,
    program: BpfProgram | undefined,
    { replaceId }: { replaceId?: number | undefined } = {},
  ): void {
    this.#failIfTold("setXdp");
    const what = `set the XDP program of interface ${interfaceIndex}`;
    this.#requireInterface(what, interfaceIndex);
    const present = this.#xdp.get(interfaceIndex);
    if (replaceId !== undefined) {
      if (!this.#programs.has(replaceId)) {
        throw new BpfError(what, ERRNO.ENOENT);
      }
      if (present?.id !== replaceId) throw new BpfError(what, ERRNO.EEXIST);
    } else if (program !== undefined && present !== undefined) {
      throw new BpfError(what, ERRNO.EBUSY);
    }
    if (this.#withoutNativeXdp.has(interfaceIndex)) {
      throw new BpfError(what, ERRNO.EOPNOTSUPP);
    }
    if (present !== undefined) this.#dropProgram(present.id);
    this.#xdp.delete(interfaceIndex);
    if (program === undefined) return;
    this.#programs.get(program.id)!.uses++;
    this.#xdp.set(interfaceIndex, { id: program.id, mode: "native" });
  }

  [Symbol.dispose](): void {}

  #refuseProgram(
    { name, type }: ProgramSpec,
    instructions: readonly Instruction[],
  ): void {
    if (this.#refused.has(type)) {
      throw new BpfError(`load the program ${name}`, ERRNO.EINVAL);
    }
    const opcode = call("redirect").opcode;
    for (const instruction of instructions) {
      if (instruction.kind !== "operation") continue;
      if (instruction.opcode !== opcode) continue;
      const helper = helperName(instruction.immediate) as HelperName;
      if (!this.#refused.has(helper)) continue;
      throw new ProgramRefusedError(name, {
        errno: ERRNO.EINVAL,
        kernelRelease: "5.4.0",
        log: `invalid func unknown#${instruction.immediate}`,
      });
    }
  }

  #hook(interfaceIndex: number, direction: Direction): AttachedProgram[] {
    const name = hookName(interfaceIndex, direction);
    const hook = this.#hooks.get(name) ?? [];
    this.#hooks.set(name, hook);
    return hook;
  }

  #failIfTold(method: Method): void {
    const error = this.#failures.get(method);
    if (error !== undefined) throw error;
  }

  #requireInterface(what: string, interfaceIndex: number): void {
    if (!this.#goneInterfaces.has(interfaceIndex)) return;
    throw new BpfError(what, ERRNO.ENODEV);
  }

  #dropMap(id: number): void {
    if (--this.#maps.get(id)!.uses === 0) this.#maps.delete(id);
  }

  #dropProgram(id: number): void {
    const kept = this.#programs.get(id)!;
    if (--kept.uses > 0) return;
    this.#programs.delete(id);
    for (const mapId of kept.value.mapIds) this.#dropMap(mapId);
  }
}

class FakeBpfProgram implements BpfProgram {
  readonly #record: FakeProgramRecord;
  readonly #onDispose: () => void;
  #descriptor: number;

  constructor(
    record: FakeProgramRecord,
    descriptor: number,
    onDispose: () => void,
  ) {
    this.#record = record;
    this.#descriptor = descriptor;
    this.#onDispose = onDispose;
  }

  get id(): number {
    return this.#record.id;
  }
  get name(): string {
    return this.#record.spec.name;
  }
  get tag(): string {
    return this.#record.tag;
  }
  get mapIds(): readonly number[] {
    return this.#record.mapIds;
  }
  get descriptor(): number {
    return this.#descriptor;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    this.#descriptor = -1;
    this.#onDispose();
  }
}

function hookName(interfaceIndex: number, direction: Direction): string {
  return `${interfaceIndex} ${direction}`;
}

/** FNV-1a of 64 bits: any hash will do. */
function tagOf(code: Uint8Array): string {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of code) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  }
  return hash.toString(16).padStart(16, "0");
}
