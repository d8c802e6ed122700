/**
 * The four programs, ready to be loaded.
 *
 * | name        | where                        | what                                    |
 * | ----------- | ---------------------------- | --------------------------------------- |
 * | `loden_tx`  | egress of the overlay device | encapsulates, or leaves it to be cut    |
 * | `loden_hop` | ingress of its hop           | encapsulates and decapsulates what was cut |
 * | `loden_rx`  | ingress of the underlay      | decapsulates                            |
 * | `loden_xdp` | driver of the underlay       | decapsulates before packets are merged  |
 *
 * Each name is followed by an underscore and the network's suffix.
 *
 * @module
 */

import type { ProgramSpec } from "../../../../linux/bpf/bpf.ts";
import {
  type Instruction,
  jumpIf,
  jumpIf32,
  label,
  load,
  loadMap,
  mov,
  R1,
  R2,
  R6,
  R7,
} from "../../../../linux/bpf/instructions.ts";
import type { Maps } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import { decapsulate, type Delivery } from "./decapsulate.ts";
import { encapsulate } from "./encapsulate.ts";
import { ETHERNET, macParts, VERDICT } from "./layout.ts";
import { counters, ends, linear } from "./parts.ts";
import { dropEnd } from "./record_drop.ts";
import { strip, takeStripped } from "./strip.ts";

const NAMES = {
  egress: "loden_tx",
  hop: "loden_hop",
  ingress: "loden_rx",
  xdp: "loden_xdp",
} as const;

/** The name of one network's program in the kernel, 15 letters at most. */
export function programName(role: keyof typeof NAMES, suffix: string): string {
  return `${NAMES[role]}_${suffix}`;
}

type Spec = Omit<ProgramSpec, "maps"> & { readonly maps: Maps };

/** For the egress of the overlay device. */
export function egressProgram(host: HostConstants, maps: Maps): Spec {
  return {
    name: programName("egress", host.suffix),
    type: "schedCls",
    maps,
    build: () => [
      mov(R6, R1),
      ...counters(VERDICT.DROP),
      ...ifForHop(host, "for the hop"),
      ...encapsulate(host, "device"),
      ...ends("for the hop", VERDICT.NEXT),
      ...dropEnd(host, VERDICT.DROP),
    ],
  };
}

/** For the ingress of the hop, the overlay device's other end. */
export function hopProgram(host: HostConstants, maps: Maps): Spec {
  return {
    name: programName("hop", host.suffix),
    type: "schedCls",
    maps,
    build: () => [
      mov(R6, R1),
      // The next agent finds all maps by this program.
      loadMap(R1, "loden_arrivals"),
      ...counters(VERDICT.DROP),
      ...ifForHop(host, "decapsulate"),
      ...encapsulate(host, "hop"),
      label("decapsulate"),
      ...decapsulate(host, "merge", "hop"),
      ...dropEnd(host, VERDICT.DROP),
    ],
  };
}

/** For the ingress of an underlay device. */
export function ingressProgram(
  host: HostConstants,
  delivery: Delivery,
  maps: Maps,
): Spec {
  return {
    name: programName("ingress", host.suffix),
    type: "schedCls",
    maps,
    build: () => [
      mov(R6, R1),
      // In every mode: frames that were stripped before the mode changed may
      // still arrive.
      ...takeStripped(host),
      ...decapsulate(host, delivery, "underlay"),
      ...dropEnd(host, VERDICT.DROP),
    ],
  };
}

/** For the driver of an underlay device, with that device's MAC address. */
export function xdpProgram(
  host: HostConstants,
  mac: Uint8Array,
  maps: Maps,
): Spec {
  return {
    name: programName("xdp", host.suffix),
    type: "xdp",
    maps,
    build: () => strip(host, mac),
  };
}

/**
 * Datagrams to be segmented carry the hop's MAC address; packets of the host
 * carry the device's own.
 */
function ifForHop(
  { hop }: HostConstants,
  target: string,
): Instruction[] {
  const [word, half] = macParts(hop.mac);
  return [
    ...linear(R7, ETHERNET.BYTES, "not for the hop"),
    load("u32", R1, R7, ETHERNET.DESTINATION),
    load("u16", R2, R7, ETHERNET.DESTINATION + 4),
    jumpIf32(R1, "!=", word, "not for the hop"),
    jumpIf(R2, "==", half, target),
    label("not for the hop"),
  ];
}
