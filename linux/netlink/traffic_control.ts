/**
 * Messages about the `clsact` queueing discipline and its `bpf` filters: `struct
 * tcmsg` and `TCA_*` attributes.
 *
 * `clsact` queues nothing; it only holds filters for packets that come in and go
 * out. A filter is known by its direction, its priority and its handle; here
 * each has a priority of its own.
 *
 * Source: `linux/rtnetlink.h`, `linux/pkt_sched.h`, `linux/pkt_cls.h`;
 * `net/sched/cls_bpf.c`.
 *
 * @module
 */

import {
  type Attribute,
  decodeAttributes,
  joinPayload,
  nestedAttribute,
  readText,
  readU32,
  REQUEST_FLAG,
  splitPayload,
  textAttribute,
  u32Attribute,
} from "./codec.ts";
import type { NetlinkRequest } from "./request.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;

/** family (u8), padding (3 bytes), index (i32), handle, parent, info (u32). */
const TCMSG_BYTES = 20;

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_ID = 11;
/** TCA_BPF_FLAG_ACT_DIRECT: the program's result is the verdict. */
const ACT_DIRECT = 1;

const CLSACT_KIND = "clsact";
const BPF_KIND = "bpf";
const CLSACT_HANDLE = 0xffff_0000;
/** TC_H_CLSACT. */
const CLSACT_PARENT = 0xffff_fff1;
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) and its like for egress. */
const FILTER_PARENT = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
/** ETH_P_ALL in network byte order. */
const ALL_PROTOCOLS = 0x0300;

/** Of the one filter that a priority has. */
const ONLY_HANDLE = 1;

/** Packets that come in, or go out. */
export type FilterDirection = keyof typeof FILTER_PARENT;

/** A `bpf` filter of a device. */
export interface BpfFilter {
  /** Filters run by rising priority. */
  readonly priority: number;
  readonly programId: number;
  readonly name: string;
}

/** A filter to make. */
export interface NewBpfFilter {
  readonly interfaceIndex: number;
  readonly direction: FilterDirection;
  readonly priority: number;
  /** Whether it takes the place of the filter with this priority, or is new. */
  readonly replace: boolean;
  readonly descriptor: number;
  readonly name: string;
}

function header(
  fields: {
    interfaceIndex: number;
    handle?: number;
    parent: number;
    info?: number;
  },
): Uint8Array {
  const bytes = new Uint8Array(TCMSG_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, fields.interfaceIndex, true);
  view.setUint32(8, fields.handle ?? 0, true);
  view.setUint32(12, fields.parent, true);
  view.setUint32(16, fields.info ?? 0, true);
  return bytes;
}

/** Of `info` the upper half is the priority, the lower the protocol. */
function filterInfo(priority: number): number {
  return (priority << 16 | ALL_PROTOCOLS) >>> 0;
}

/** Asks for the discipline; the kernel says EEXIST when it is there. */
export function addClsactRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_NEWQDISC,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: joinPayload(
      header({ interfaceIndex, handle: CLSACT_HANDLE, parent: CLSACT_PARENT }),
      [textAttribute(TCA_KIND, CLSACT_KIND)],
    ),
  };
}

/** Asks for the end of the discipline and of all its filters. */
export function removeClsactRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_DELQDISC,
    flags: 0,
    payload: header({
      interfaceIndex,
      handle: CLSACT_HANDLE,
      parent: CLSACT_PARENT,
    }),
  };
}

/** Asks for all filters of one direction; none where there is no discipline. */
export function listFiltersRequest(
  interfaceIndex: number,
  direction: FilterDirection,
): NetlinkRequest {
  return {
    type: RTM_GETTFILTER,
    flags: 0,
    payload: header({ interfaceIndex, parent: FILTER_PARENT[direction] }),
  };
}

/** Asks for a filter, or for one in the place of another: packets see one of both. */
export function putBpfFilterRequest(filter: NewBpfFilter): NetlinkRequest {
  const options: Attribute[] = [
    u32Attribute(TCA_BPF_FD, filter.descriptor),
    // NLA_NUL_STRING: this one must end with a NUL.
    textAttribute(TCA_BPF_NAME, filter.name + "\0"),
    u32Attribute(TCA_BPF_FLAGS, ACT_DIRECT),
  ];
  return {
    type: RTM_NEWTFILTER,
    flags: filter.replace
      ? REQUEST_FLAG.REPLACE
      : REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: joinPayload(
      header({
        interfaceIndex: filter.interfaceIndex,
        handle: ONLY_HANDLE,
        parent: FILTER_PARENT[filter.direction],
        info: filterInfo(filter.priority),
      }),
      [
        textAttribute(TCA_KIND, BPF_KIND),
        nestedAttribute(TCA_OPTIONS, options),
      ],
    ),
  };
}

/** Asks for the end of a filter. */
export function removeBpfFilterRequest(
  interfaceIndex: number,
  direction: FilterDirection,
  priority: number,
): NetlinkRequest {
  return {
    type: RTM_DELTFILTER,
    flags: 0,
    payload: joinPayload(
      header({
        interfaceIndex,
        handle: ONLY_HANDLE,
        parent: FILTER_PARENT[direction],
        info: filterInfo(priority),
      }),
      [textAttribute(TCA_KIND, BPF_KIND)],
    ),
  };
}

/** The priority in an `RTM_NEWTFILTER`, whichever kind of filter it is. */
export function parseFilterPriority(payload: Uint8Array): number {
  return splitPayload(payload, TCMSG_BYTES).header.getUint16(18, true);
}

/**
 * Reads an `RTM_NEWTFILTER`; `undefined` for a filter of another kind, and for
 * the message that stands for all filters of a priority.
 */
export function parseBpfFilter(payload: Uint8Array): BpfFilter | undefined {
  const { attributes } = splitPayload(payload, TCMSG_BYTES);
  const kind = attributes.get(TCA_KIND);
  const options = attributes.get(TCA_OPTIONS);
  if (kind === undefined || readText(kind) !== BPF_KIND) return undefined;
  if (options === undefined) return undefined;
  const details = decodeAttributes(options);
  const programId = details.get(TCA_BPF_ID);
  if (programId === undefined) return undefined;
  const name = details.get(TCA_BPF_NAME);
  return {
    priority: parseFilterPriority(payload),
    programId: readU32(programId),
    name: name === undefined ? "" : readText(name),
  };
}
