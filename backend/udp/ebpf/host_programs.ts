/**
 * The loaded programs for one set of constants.
 *
 * @module
 */

import type { Bpf, BpfProgram } from "../../../linux/bpf/bpf.ts";
import type { Ethtool } from "../../../linux/ethtool.ts";
import type { ReceiveChoice } from "../data_path.ts";
import type { Maps } from "./maps.ts";
import type { DeviceConstants, HostConstants } from "./programs/constants.ts";
import { egressProgram, hopProgram } from "./programs/programs.ts";
import { Underlays } from "./underlays.ts";

/** Disposing of them closes their descriptors; attached ones run on. */
export class HostPrograms implements Disposable {
  readonly egress: BpfProgram;
  readonly hop: BpfProgram;
  /** The programs on the underlay, loaded on demand. */
  readonly underlays: Underlays;
  readonly #host: HostConstants;
  readonly #opened: DisposableStack;

  /** Throws the kernel's error; then none stays open. */
  constructor(
    { bpf, ethtool }: { readonly bpf: Bpf; readonly ethtool: Ethtool },
    host: HostConstants,
    maps: Maps,
    receive: ReceiveChoice,
  ) {
    using opened = new DisposableStack();
    this.#host = host;
    this.egress = opened.use(bpf.loadProgram(egressProgram(host, maps)));
    this.hop = opened.use(bpf.loadProgram(hopProgram(host, maps)));
    this.underlays = opened.use(
      new Underlays({ bpf, ethtool }, host, maps, receive),
    );
    this.#opened = opened.move();
  }

  /** Whether the programs would be the same for these constants. */
  isFor(host: HostConstants): boolean {
    return isSameDevice(this.#host.device, host.device) &&
      isSameDevice(this.#host.hop, host.hop) &&
      this.#host.cutUdp === host.cutUdp;
  }

  [Symbol.dispose](): void {
    this.#opened[Symbol.dispose]();
  }
}

function isSameDevice(a: DeviceConstants, b: DeviceConstants): boolean {
  return a.interfaceIndex === b.interfaceIndex &&
    a.mac.every((byte, index) => byte === b.mac[index]);
}
