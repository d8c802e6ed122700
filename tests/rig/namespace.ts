/**
 * One network namespace with a name, as `ip netns` makes it.
 *
 * @module
 */

import {
  attempt,
  type CommandOptions,
  type CommandResult,
  run,
} from "../../tools/command.ts";
import { KERNEL_SETTINGS } from "./kernel_settings.ts";

/** A network namespace. {@linkcode destroyRig} removes it. */
export class NetNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Makes the namespace, its loopback device up, with {@linkcode KERNEL_SETTINGS}.
   */
  static async create(
    name: string,
    signal?: AbortSignal,
  ): Promise<NetNamespace> {
    await run(["ip", "netns", "add", name], signal ? { signal } : {});
    const namespace = new NetNamespace(name);
    await namespace.sysctl(KERNEL_SETTINGS, signal);
    await namespace.ip(["link set lo up"], signal);
    return namespace;
  }

  /** Takes its name away; it is gone when no process is in it. */
  async destroy(): Promise<void> {
    await run(["ip", "netns", "delete", this.name]);
  }

  /** Gives a name to the namespace of a process, such as a container's. */
  static async attach(name: string, pid: number): Promise<NetNamespace> {
    await run(["ip", "netns", "attach", name, String(pid)]);
    return new NetNamespace(name);
  }

  /** What stands before a command that runs inside. It ends by executing it. */
  get commandPrefix(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** `ip` command lines, without the word `ip`, in one go. */
  async ip(lines: readonly string[], signal?: AbortSignal): Promise<void> {
    await run(["ip", "-n", this.name, "-batch", "-"], {
      stdin: lines.join("\n") + "\n",
      ...(signal ? { signal } : {}),
    });
  }

  /** Runs a program inside and returns its output. */
  run(command: readonly string[], options?: CommandOptions): Promise<string> {
    return run([...this.commandPrefix, ...command], options);
  }

  /** Runs a program inside, whatever its exit code. */
  attempt(
    command: readonly string[],
    options?: CommandOptions,
  ): Promise<CommandResult> {
    return attempt([...this.commandPrefix, ...command], options);
  }

  /**
   * Sets kernel variables below `/proc/sys`, e.g. `net/ipv4/ip_forward`.
   * Those that this kernel does not have are passed over.
   */
  async sysctl(
    values: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<void> {
    const script = Object.entries(values).map(([path, value]) =>
      `[ ! -e /proc/sys/${path} ] || echo ${value} >/proc/sys/${path}`
    );
    // Not `sysctl`: a minimal Debian has none.
    await this.run(
      ["sh", "-ec", script.join("\n")],
      signal ? { signal } : {},
    );
  }
}
