/**
 * Taking a network's programs off the underlay.
 *
 * Those at the overlay device go with it.
 *
 * @module
 */

import type { Bpf } from "../../../linux/bpf/bpf.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import { detachFromUnderlay } from "./attachments.ts";
import { ownershipOf } from "./ownership.ts";
import { programName } from "./programs/programs.ts";

/** What is looked at. */
export interface RemovalParts {
  readonly rtnetlink: Pick<Rtnetlink, "links">;
  readonly bpf: Bpf;
}

/** One device whose programs go. */
export interface ProgramRemoval {
  /** `programs loden_rx_1a2b3, loden_xdp_1a2b3 at eth0`. */
  readonly what: string;
  readonly remove: () => void;
}

/**
 * The devices at which programs of the network with that alias are, however they
 * came there. Throws {@linkcode BpfError} where the kernel does not say.
 */
export function planProgramRemoval(
  { rtnetlink, bpf }: RemovalParts,
  alias: string,
): ProgramRemoval[] {
  const { suffix } = ownershipOf(alias);
  const ingress = programName("ingress", suffix);
  const xdp = programName("xdp", suffix);
  return rtnetlink.links().flatMap(({ index, name }) => {
    const names: string[] = [];
    const atIngress = bpf.attachedPrograms(index, "ingress")
      .filter((program) => program.name === ingress);
    if (atIngress.length > 0) names.push(ingress);
    if (xdpName(bpf, index) === xdp) names.push(xdp);
    if (names.length === 0) return [];
    const noun = names.length === 1 ? "program" : "programs";
    return [{
      what: `${noun} ${names.join(", ")} at ${name}`,
      remove: () => void detachFromUnderlay(bpf, index, suffix),
    }];
  });
}

function xdpName(bpf: Bpf, interfaceIndex: number): string | undefined {
  const current = bpf.xdp(interfaceIndex);
  if (current === undefined) return undefined;
  using program = bpf.openProgram(current.id);
  return program?.name;
}
