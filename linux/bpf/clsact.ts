/**
 * Programs as filters of the `clsact` queueing discipline: what there was before
 * `tcx`, and is on every kernel.
 *
 * All filters of Loden have one priority, so that they run in the order in which
 * they came; the kernel gives each a handle.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { NetlinkError } from "../netlink/errors.ts";
import type { NetlinkClient } from "../netlink/netlink_client.ts";
import {
  addClsactRequest,
  type BpfFilter,
  listFiltersRequest,
  parseBpfFilter,
  putBpfFilterRequest,
  removeBpfFilterRequest,
  removeClsactRequest,
} from "../netlink/traffic_control.ts";
import type { BpfProgram, Direction } from "./bpf.ts";
import { BpfError } from "./errors.ts";

/** `flanneld`'s port: a number that nobody else has a reason to take. */
export const FILTER_PRIORITY = 8285;

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/** The filters of the devices of one network namespace. */
export class ClsactHooks {
  readonly #client: NetlinkClient;
  /** Interface indexes of the disciplines that were made here. */
  readonly #made = new Set<number>();

  constructor(client: NetlinkClient) {
    this.#client = client;
  }

  /** All `bpf` filters of a device, in their order. */
  filters(interfaceIndex: number, direction: Direction): BpfFilter[] {
    return this.#payloads(interfaceIndex, direction)
      .map(parseBpfFilter)
      .filter((filter) => filter !== undefined);
  }

  /** Puts a program behind the others, or into the place of `replacedId`. */
  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    replacedId: number | undefined,
  ): void {
    const what =
      `let ${program.name} run at ${direction} of interface ${interfaceIndex}`;
    const ours = this.#ours(interfaceIndex, direction);
    if (ours.some(({ programId }) => programId === program.id)) {
      throw new BpfError(what, ERRNO.EEXIST, { detail: "it runs there" });
    }
    const replaced = ours.find(({ programId }) => programId === replacedId);
    if (replacedId !== undefined && replaced === undefined) {
      throw new BpfError(what, ERRNO.ENOENT, {
        detail: `program ${replacedId} does not run there`,
      });
    }
    if (replaced === undefined) this.#ensureDiscipline(interfaceIndex);
    this.#client.request(
      what,
      putBpfFilterRequest({
        interfaceIndex,
        direction,
        priority: FILTER_PRIORITY,
        ...(replaced === undefined ? {} : { replacedHandle: replaced.handle }),
        descriptor: program.descriptor,
        name: program.name,
      }),
    );
  }

  /**
   * Whether the program was there. A discipline that was made here and has no
   * filter left goes too.
   */
  detach(
    interfaceIndex: number,
    direction: Direction,
    programId: number,
  ): boolean {
    const filter = this.#ours(interfaceIndex, direction)
      .find((candidate) => candidate.programId === programId);
    if (filter === undefined) return false;
    this.#client.request(
      `take ${filter.name} from ${direction} of interface ${interfaceIndex}`,
      removeBpfFilterRequest(interfaceIndex, direction, filter),
    );
    this.#removeUnusedDiscipline(interfaceIndex);
    return true;
  }

  /** A filter of another priority is not from here, whatever program it runs. */
  #ours(interfaceIndex: number, direction: Direction): BpfFilter[] {
    return this.filters(interfaceIndex, direction)
      .filter(({ priority }) => priority === FILTER_PRIORITY);
  }

  #payloads(interfaceIndex: number, direction: Direction): Uint8Array[] {
    return this.#client.list(
      `list the ${direction} filters of interface ${interfaceIndex}`,
      listFiltersRequest(interfaceIndex, direction),
    );
  }

  #ensureDiscipline(interfaceIndex: number): void {
    try {
      this.#client.request(
        `add the clsact discipline to interface ${interfaceIndex}`,
        addClsactRequest(interfaceIndex),
      );
      this.#made.add(interfaceIndex);
    } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === ERRNO.EEXIST)) {
        throw error;
      }
    }
  }

  #removeUnusedDiscipline(interfaceIndex: number): void {
    if (!this.#made.has(interfaceIndex)) return;
    const used = DIRECTIONS.some((direction) =>
      this.#payloads(interfaceIndex, direction).length > 0
    );
    if (used) return;
    this.#client.request(
      `remove the clsact discipline of interface ${interfaceIndex}`,
      removeClsactRequest(interfaceIndex),
    );
    this.#made.delete(interfaceIndex);
  }
}
