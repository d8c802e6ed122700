/**
 * Programs as filters of the `clsact` queueing discipline, the predecessor of
 * `tcx`, which every kernel has.
 *
 * Of several filters with one priority the newest runs first. To run in the
 * order of attachment, as with `tcx`, each gets its own priority from a range
 * of Loden's. Source: `net/sched/cls_bpf.c`, `cls_bpf_change`.
 *
 * A discipline does not record who created it. The filters' names do, so that
 * another process knows whether to remove the discipline with the last filter.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { moduleMissing, NetlinkError } from "../netlink/errors.ts";
import type { NetlinkClient } from "../netlink/netlink_client.ts";
import {
  addClsactRequest,
  type BpfFilter,
  listFiltersRequest,
  parseBpfFilter,
  parseFilterPriority,
  putBpfFilterRequest,
  removeBpfFilterRequest,
  removeClsactRequest,
} from "../netlink/traffic_control.ts";
import type { BpfProgram, Direction } from "./bpf.ts";
import { BpfError } from "./errors.ts";

/**
 * Derived from `flanneld`'s port: numbers that other programs are unlikely to
 * use.
 */
const FIRST_PRIORITY = 8285;
const LAST_PRIORITY = FIRST_PRIORITY + 99;

/**
 * Suffix of a filter's name: its discipline was created for Loden's filters.
 */
const MADE_HERE = " +clsact";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/** The filters of the devices of one network namespace. */
export class ClsactHooks {
  readonly #client: NetlinkClient;

  constructor(client: NetlinkClient) {
    this.#client = client;
  }

  /** All `bpf` filters of a device, in their order. */
  filters(interfaceIndex: number, direction: Direction): BpfFilter[] {
    return this.#payloads(interfaceIndex, direction)
      .map(parseBpfFilter)
      .filter((filter) => filter !== undefined)
      .map((filter) => ({
        ...filter,
        name: filter.name.endsWith(MADE_HERE)
          ? filter.name.slice(0, -MADE_HERE.length)
          : filter.name,
      }));
  }

  /** Attaches a program after the others, or in place of `replacedId`. */
  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    replacedId: number | undefined,
  ): void {
    const what =
      `attach ${program.name} to ${direction} of interface ${interfaceIndex}`;
    const ours = this.#ours(interfaceIndex, direction);
    if (ours.some(({ programId }) => programId === program.id)) {
      throw new BpfError(what, ERRNO.EEXIST, { detail: "it runs there" });
    }
    const replaced = ours.find(({ programId }) => programId === replacedId);
    if (replacedId !== undefined && replaced === undefined) {
      throw new BpfError(what, ERRNO.ENOENT, {
        detail: `program ${replacedId} is not attached there`,
      });
    }
    const madeHere = this.#isMadeHere(interfaceIndex) ||
      replaced === undefined && this.#addDiscipline(interfaceIndex);
    try {
      this.#client.request(
        what,
        putBpfFilterRequest({
          interfaceIndex,
          direction,
          priority: replaced?.priority ??
            this.#priorityBehind(interfaceIndex, direction),
          replace: replaced !== undefined,
          descriptor: program.descriptor,
          name: madeHere ? `${program.name}${MADE_HERE}` : program.name,
        }),
      );
    } catch (error) {
      if (madeHere) this.#removeUnusedDiscipline(interfaceIndex);
      if (replaced !== undefined) throw error;
      throw withModule(what, error, "cls_bpf");
    }
  }

  /**
   * Detaches a program; whether it was there. A discipline that was created
   * here is removed with its last filter.
   */
  detach(
    interfaceIndex: number,
    direction: Direction,
    programId: number,
  ): boolean {
    const filter = this.#ours(interfaceIndex, direction)
      .find((candidate) => candidate.programId === programId);
    if (filter === undefined) return false;
    const madeHere = this.#isMadeHere(interfaceIndex);
    this.#client.request(
      `detach ${filter.name} from ${direction} of interface ${interfaceIndex}`,
      removeBpfFilterRequest(interfaceIndex, direction, filter.priority),
    );
    if (madeHere) this.#removeUnusedDiscipline(interfaceIndex);
    return true;
  }

  /** A filter with another priority is not ours, whatever program it runs. */
  #ours(interfaceIndex: number, direction: Direction): BpfFilter[] {
    return this.filters(interfaceIndex, direction)
      .filter(({ priority }) => isOurs(priority));
  }

  /**
   * The next priority; a gap if the last one is in use, which breaks the order.
   */
  #priorityBehind(interfaceIndex: number, direction: Direction): number {
    const used = new Set(
      this.#payloads(interfaceIndex, direction)
        .map(parseFilterPriority)
        .filter(isOurs),
    );
    const next = Math.max(FIRST_PRIORITY - 1, ...used) + 1;
    if (isOurs(next)) return next;
    let gap = FIRST_PRIORITY;
    while (used.has(gap)) gap++;
    if (isOurs(gap)) return gap;
    throw new BpfError(
      `find room for a filter at ${direction} of interface ${interfaceIndex}`,
      ERRNO.ENOSPC,
      {
        detail:
          `the priorities ${FIRST_PRIORITY} to ${LAST_PRIORITY} are in use`,
        hint: `tc filter show dev NAME ${direction}`,
      },
    );
  }

  #payloads(interfaceIndex: number, direction: Direction): Uint8Array[] {
    try {
      return this.#client.list(
        `list the ${direction} filters of interface ${interfaceIndex}`,
        listFiltersRequest(interfaceIndex, direction),
      );
    } catch (error) {
      // A kernel without any kind of filter (CONFIG_NET_CLS).
      if (isErrno(error, ERRNO.EOPNOTSUPP)) return [];
      throw error;
    }
  }

  /** Whether a filter says so. */
  #isMadeHere(interfaceIndex: number): boolean {
    return DIRECTIONS.some((direction) =>
      this.#payloads(interfaceIndex, direction).map(parseBpfFilter).some(
        (filter) =>
          filter !== undefined && isOurs(filter.priority) &&
          filter.name.endsWith(MADE_HERE),
      )
    );
  }

  /** Whether there was none. */
  #addDiscipline(interfaceIndex: number): boolean {
    const what = `add the clsact discipline to interface ${interfaceIndex}`;
    try {
      this.#client.request(what, addClsactRequest(interfaceIndex));
      return true;
    } catch (error) {
      if (isErrno(error, ERRNO.EEXIST)) return false;
      throw withModule(what, error, "sch_ingress");
    }
  }

  #removeUnusedDiscipline(interfaceIndex: number): void {
    const used = DIRECTIONS.some((direction) =>
      this.#payloads(interfaceIndex, direction).length > 0
    );
    if (used) return;
    this.#client.request(
      `remove the clsact discipline of interface ${interfaceIndex}`,
      removeClsactRequest(interfaceIndex),
    );
  }
}

function isErrno(error: unknown, ...errnos: readonly number[]): boolean {
  return error instanceof NetlinkError && errnos.includes(error.errno);
}

/** Names the module that the kernel lacks if that is the reason of an error. */
function withModule(what: string, error: unknown, module: string): unknown {
  return error instanceof NetlinkError &&
      isErrno(error, ERRNO.ENOENT, ERRNO.EOPNOTSUPP)
    ? moduleMissing(what, error.errno, module, { cause: error })
    : error;
}

function isOurs(priority: number): boolean {
  return priority >= FIRST_PRIORITY && priority <= LAST_PRIORITY;
}
