/**
 * Detaches a network's programs from the underlay.
 *
 * Programs on the overlay device are removed with it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import type { Bpf } from "../../../linux/bpf/bpf.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import type { Cidr } from "../../../net/cidr.ts";
import { findOwnedDevice, UNREACHABLE_METRIC } from "../../overlay_device.ts";
import { detachFromUnderlay, ownXdp } from "./attachments.ts";
import { KernelPathLeftError } from "./errors.ts";
import { findOverlayPair } from "./overlay_pair.ts";
import { ownershipOf } from "./ownership.ts";
import { programName } from "./programs/programs.ts";

const log = getLogger(["loden", "backend"]);

/** What is inspected. */
export interface RemovalParts {
  readonly rtnetlink: Pick<Rtnetlink, "links">;
  readonly bpf: Bpf;
}

/** One device whose programs are removed. */
export interface ProgramRemoval {
  /** `programs loden_rx_1a2b3, loden_xdp_1a2b3 at eth0`. */
  readonly what: string;
  readonly device: string;
  readonly remove: () => void;
}

/**
 * The devices with programs of the network with that alias. Throws
 * {@linkcode BpfError} if the kernel does not list programs.
 */
export function planProgramRemoval(
  { rtnetlink, bpf }: RemovalParts,
  alias: string,
): ProgramRemoval[] {
  const { suffix } = ownershipOf(alias);
  const ingress = programName("ingress", suffix);
  return rtnetlink.links().flatMap(({ index, name }) => {
    const names: string[] = [];
    const atIngress = bpf.attachedPrograms(index, "ingress")
      .filter((program) => program.name === ingress);
    if (atIngress.length > 0) names.push(ingress);
    if (ownXdp(bpf, index, suffix)) names.push(programName("xdp", suffix));
    if (names.length === 0) return [];
    const noun = names.length === 1 ? "program" : "programs";
    return [{
      what: `${noun} ${names.join(", ")} at ${name}`,
      device: name,
      remove: () => void detachFromUnderlay(bpf, index, suffix),
    }];
  });
}

/**
 * Removes a network's kernel data path, whose programs would take the packets
 * of another data path: first the programs on the underlay, then the overlay
 * device. Until then the kernel carries packets as before.
 *
 * A process that may not list programs has attached none. But the device of a
 * kernel data path shows that another process has.
 *
 * @throws {KernelPathLeftError} if programs are, or may be, still there.
 */
export function removeKernelPath(
  { rtnetlink, openBpf }: {
    readonly rtnetlink: Rtnetlink;
    readonly openBpf: (options: { readonly tcx: boolean }) => Bpf;
  },
  alias: string,
): void {
  const device = findOwnedDevice(rtnetlink, alias, "veth");
  let removals: ProgramRemoval[];
  using opened = new DisposableStack();
  try {
    const bpf = opened.use(openBpf({ tcx: true }));
    removals = planProgramRemoval({ rtnetlink, bpf }, alias);
  } catch (error) {
    if (device !== undefined) {
      throw new KernelPathLeftError(`the programs of ${device.name}`, error);
    }
    log.debug("cannot look for programs of an earlier kernel data path", {
      event: "backend.programs-unknown",
      reason: describeError(error),
    });
    return;
  }
  const left: { what: string; error: unknown }[] = [];
  for (const { what, remove } of removals) {
    try {
      remove();
    } catch (error) {
      left.push({ what, error });
    }
  }
  if (left.length > 0) {
    const what = left.map(({ what }) => what).join(", ");
    throw new KernelPathLeftError(what, left[0]!.error);
  }
  if (device !== undefined) rtnetlink.deleteLink(device.index);
}

/** Removes a data path that never carried a packet. */
export function removeFailedStart(
  { rtnetlink, bpf }: { readonly rtnetlink: Rtnetlink; readonly bpf: Bpf },
  { deviceAlias, network }: {
    readonly deviceAlias: string;
    readonly network: Cidr;
  },
): void {
  try {
    const removals = planProgramRemoval({ rtnetlink, bpf }, deviceAlias);
    for (const { remove } of removals) remove();
  } catch (error) {
    // The failure may be caused by programs that cannot be listed.
    log.debug("programs of a failed start cannot be looked for", {
      event: "backend.programs-unknown",
      reason: describeError(error),
    });
  }
  const pair = findOverlayPair(rtnetlink.links(), deviceAlias);
  if (pair !== undefined) rtnetlink.deleteLink(pair.device.index);
  rtnetlink.removeRoute({
    destination: network,
    type: "unreachable",
    metric: UNREACHABLE_METRIC,
  });
}
