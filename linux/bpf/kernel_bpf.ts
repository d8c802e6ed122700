/**
 * The kernel's eBPF, by `bpf(2)` and rtnetlink.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { NetlinkClient } from "../netlink/netlink_client.ts";
import { NetlinkSocket } from "../netlink/netlink_socket.ts";
import {
  getXdpRequest,
  NO_PROGRAM,
  parseXdp,
  setXdpRequest,
} from "../netlink/xdp.ts";
import type {
  AttachedProgram,
  Bpf,
  BpfMap,
  BpfProgram,
  Direction,
  MapSpec,
  ProgramSpec,
  RingReader,
  TestRun,
  TestRunResult,
  XdpProgram,
} from "./bpf.ts";
import { ClsactHooks } from "./clsact.ts";
import { BpfError } from "./errors.ts";
import { createKernelMap, openKernelMap } from "./kernel_map.ts";
import { loadKernelProgram, openKernelProgram } from "./kernel_program.ts";
import { mapKernelRing } from "./kernel_ring.ts";
import { attachTcx, detachTcx, tcxProgramIds } from "./tcx.ts";
import { testRunProgram } from "./test_run.ts";

/** What may be switched off. */
export interface KernelBpfOptions {
  /** `false`: attach by `clsact` also where the kernel has `tcx`. */
  readonly tcx?: boolean;
}

/**
 * One netlink socket, in the network namespace of the thread that made it;
 * `tcx` hooks are of the namespace that the thread is in at each call.
 *
 * @example
 * ```ts
 * import { KernelBpf } from "./kernel_bpf.ts";
 * import { exit, mov, R0 } from "./instructions.ts";
 * using bpf = new KernelBpf();
 * using program = bpf.loadProgram({
 *   name: "pass_all",
 *   type: "xdp",
 *   build: () => [mov(R0, 2), exit()],
 * });
 * bpf.testRun(program, { data: new Uint8Array(64) }).returnValue; // 2
 * ```
 */
export class KernelBpf implements Bpf {
  readonly #client: NetlinkClient;
  readonly #clsact: ClsactHooks;
  readonly #tcxAllowed: boolean;

  /** Throws {@linkcode SystemCallError} when there can be no netlink socket. */
  constructor({ tcx = true }: KernelBpfOptions = {}) {
    this.#client = new NetlinkClient(new NetlinkSocket());
    this.#clsact = new ClsactHooks(this.#client);
    this.#tcxAllowed = tcx;
  }

  createMap(spec: MapSpec): BpfMap {
    return createKernelMap(spec);
  }

  loadProgram(spec: ProgramSpec): BpfProgram {
    return loadKernelProgram(spec);
  }

  openMap(id: number): BpfMap | undefined {
    return openKernelMap(id);
  }

  mapRing(map: BpfMap): RingReader {
    return mapKernelRing(map);
  }

  openProgram(id: number): BpfProgram | undefined {
    return openKernelProgram(id);
  }

  testRun(program: BpfProgram, run: TestRun): TestRunResult {
    return testRunProgram(program, run);
  }

  hook(interfaceIndex: number, direction: Direction): "tcx" | "clsact" {
    return this.#tcxAllowed &&
        tcxProgramIds(interfaceIndex, direction) !== undefined
      ? "tcx"
      : "clsact";
  }

  attachedPrograms(
    interfaceIndex: number,
    direction: Direction,
  ): AttachedProgram[] {
    const attached: AttachedProgram[] = [];
    for (const id of tcxProgramIds(interfaceIndex, direction) ?? []) {
      using program = openKernelProgram(id);
      // Gone since it was listed.
      if (program === undefined) continue;
      attached.push({ id, name: program.name, how: "tcx" });
    }
    for (
      const { programId, name } of this.#clsact.filters(
        interfaceIndex,
        direction,
      )
    ) {
      attached.push({ id: programId, name, how: "clsact" });
    }
    return attached;
  }

  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    { replace }: { replace?: AttachedProgram | undefined } = {},
  ): AttachedProgram {
    const how = this.hook(interfaceIndex, direction);
    const inPlace = replace?.how === how ? replace.id : undefined;
    if (how === "tcx") {
      this.#attachTcx(interfaceIndex, direction, program, inPlace);
    } else this.#clsact.attach(interfaceIndex, direction, program, inPlace);
    // Moving between the two kinds of hooks: both programs are attached for a
    // moment, so that every packet passes one.
    if (replace !== undefined && replace.how !== how) {
      this.detach(interfaceIndex, direction, replace);
    }
    return { id: program.id, name: program.name, how };
  }

  detach(
    interfaceIndex: number,
    direction: Direction,
    { id, how }: AttachedProgram,
  ): boolean {
    if (how === "clsact") {
      return this.#clsact.detach(interfaceIndex, direction, id);
    }
    using program = openKernelProgram(id);
    return program !== undefined &&
      detachTcx(interfaceIndex, direction, program);
  }

  xdp(interfaceIndex: number): XdpProgram | undefined {
    const [answer] = this.#client.request(
      `read the XDP program of interface ${interfaceIndex}`,
      getXdpRequest(interfaceIndex),
    );
    return answer && parseXdp(answer);
  }

  setXdp(
    interfaceIndex: number,
    program: BpfProgram | undefined,
    { replaceId }: { replaceId?: number | undefined } = {},
  ): void {
    const what = program === undefined
      ? `detach the XDP program from interface ${interfaceIndex}`
      : `attach ${program.name} to XDP of interface ${interfaceIndex}`;
    using replaced = replaceId === undefined
      ? undefined
      : openReplaced(what, replaceId);
    this.#client.request(
      what,
      setXdpRequest(
        interfaceIndex,
        program?.descriptor ?? NO_PROGRAM,
        replaced?.descriptor,
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #attachTcx(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    replacedId: number | undefined,
  ): void {
    using replaced = replacedId === undefined
      ? undefined
      : openReplaced(`replace a program by ${program.name}`, replacedId);
    attachTcx(interfaceIndex, direction, program, replaced);
  }
}

function openReplaced(what: string, id: number): BpfProgram {
  const program = openKernelProgram(id);
  if (program === undefined) {
    throw new BpfError(what, ERRNO.ENOENT, {
      detail: `there is no program ${id}`,
    });
  }
  return program;
}
