/**
 * A way from container to container that is up, on two hosts of its own.
 *
 * @module
 */

import type { LinkMode } from "../../tests/rig/link_mode.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import type { MeasuredLink } from "../measure/link.ts";
import type { PathName } from "./path_names.ts";

/** Disposing of its rig ends it. */
export interface MeasuredPath {
  readonly name: PathName;
  readonly rig: Rig;
  readonly link: MeasuredLink;
  /** Process ids of what runs for the path on the first host and on the second. */
  processes(): readonly (readonly number[])[];
  /** Puts the underlay into a mode, and brings up what depends on it. */
  enterMode(mode: LinkMode, signal: AbortSignal): Promise<void>;
  /** Stops all that runs for the path (SIGSTOP), so that it costs no time. */
  freeze(): void;
  /** Lets it go on. */
  thaw(): void;
}

/** A path that does not care how packets cross the underlay. */
export class SimplePath implements MeasuredPath {
  readonly name: PathName;
  readonly rig: Rig;
  readonly link: MeasuredLink;
  readonly #processes: readonly (readonly number[])[];

  constructor(
    name: PathName,
    rig: Rig,
    link: MeasuredLink,
    processes: readonly (readonly number[])[] = [[], []],
  ) {
    this.name = name;
    this.rig = rig;
    this.link = link;
    this.#processes = processes;
  }

  processes(): readonly (readonly number[])[] {
    return this.#processes;
  }

  enterMode(mode: LinkMode, signal: AbortSignal): Promise<void> {
    return this.rig.setLinkMode(mode, signal);
  }

  freeze(): void {
    signalAll(this.#processes.flat(), "SIGSTOP");
  }

  thaw(): void {
    signalAll(this.#processes.flat(), "SIGCONT");
  }
}

/** Processes that have ended are passed over. */
export function signalAll(pids: readonly number[], signal: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
