/**
 * A whole Debian with systemd as process 1, booted inside a host of the rig.
 *
 * Its disk is an overlay over the {@linkcode ensureRootImage} and outlives a
 * reboot; Docker's data lies beside it, since Docker makes overlays itself.
 *
 * @module
 */

import {
  attempt,
  CommandError,
  type CommandOptions,
  type CommandResult,
} from "../../../tools/command.ts";
import { Daemon } from "../daemon.ts";
import { RigTimeoutError } from "../errors.ts";
import type { RigHost } from "../host.ts";
import { run } from "../../../tools/command.ts";
import { hierarchies } from "./control_group.ts";
import { delay } from "@std/async/delay";

const BOOT_MS = 60_000;
const SHUTDOWN_MS = 60_000;

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/** Beyond nspawn's own list: what Docker and Loden's programs call. */
const SYSTEM_CALLS = "bpf perf_event_open keyctl add_key";

/** What stays writable although it is seen from several hosts. */
const ENVIRONMENT = {
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1",
  SYSTEMD_NSPAWN_API_VFS_WRITABLE: "1",
};

/** What a host is made from. */
export interface BootedHostOptions {
  /** What `ensureRootImage` made. */
  readonly image: string;
  /** `OUTSIDE:INSIDE`, directories that it sees and cannot change. */
  readonly binds?: readonly string[];
  readonly signal?: AbortSignal;
}

/** See the module's text. {@linkcode destroyRig} removes what is left of it. */
export class BootedHost implements AsyncDisposable {
  readonly host: RigHost;
  /** Its `/`, as this machine sees it, also while it is off. */
  readonly root: string;
  readonly #data: string;
  readonly #binds: readonly string[];
  #process: Daemon | undefined;
  #leader: number | undefined;
  #boots = 0;

  private constructor(
    host: RigHost,
    data: string,
    binds: readonly string[],
  ) {
    this.host = host;
    this.#data = data;
    this.#binds = binds;
    this.root = `${data}/root`;
  }

  /** Makes its disk; it is off. */
  static async create(
    host: RigHost,
    { binds = [], image, signal }: BootedHostOptions,
  ): Promise<BootedHost> {
    const options = signal ? { signal } : {};
    const data = `${host.directory}/booted`;
    await Deno.mkdir(data, { recursive: true });
    // Not a plain directory: where that is an overlay itself, as it is in many
    // containers, it could not be the upper part of another.
    await run(["mount", "-t", "tmpfs", "booted-host", data], options);
    for (const name of ["root", "upper", "work", "docker", "containerd"]) {
      await Deno.mkdir(`${data}/${name}`);
    }
    const layers =
      `lowerdir=${image},upperdir=${data}/upper,workdir=${data}/work`;
    await run(
      ["mount", "-t", "overlay", "overlay", "-o", layers, `${data}/root`],
      options,
    );
    return new BootedHost(host, data, binds);
  }

  /** The name of its machine and of its control group. */
  get name(): string {
    return this.host.name;
  }

  /** Switches it on; resolves when its service manager answers. */
  async boot(signal?: AbortSignal): Promise<void> {
    this.#boots += 1;
    const group = this.#group;
    const bind = (directory: string) =>
      `--bind=${this.#data}/${directory}:/var/lib/${directory}`;
    this.#process = new Daemon({
      name: `the booted host ${this.name}`,
      logFile: `${this.host.directory}/console-${this.#boots}`,
      env: ENVIRONMENT,
      command: [
        "sh",
        "-ec",
        'mkdir -p "$1"; echo $$ >"$1/cgroup.procs"; shift; exec "$@"',
        "sh",
        group,
        "systemd-nspawn",
        "--quiet",
        `--directory=${this.root}`,
        `--machine=${this.name}`,
        `--hostname=${this.name}`,
        "--register=no",
        "--keep-unit",
        `--network-namespace-path=/run/netns/${this.host.namespace.name}`,
        "--resolv-conf=off",
        "--timezone=off",
        "--capability=all",
        `--system-call-filter=${SYSTEM_CALLS}`,
        "--bind=/dev/net/tun",
        bind("docker"),
        bind("containerd"),
        ...this.#binds.map((each) => `--bind-ro=${each}`),
        "--console=pipe",
        "--boot",
      ],
    });
    await this.#process.until(
      `the service manager of ${this.name}`,
      () => this.#isUp(group),
      BOOT_MS,
      signal,
    );
  }

  /** Its control group, in which process 1 and all units are. */
  get #group(): string {
    return `${hierarchies().unified}/${this.name}`;
  }

  /** What stands before a command that runs inside. It ends by executing it. */
  get commandPrefix(): readonly string[] {
    if (this.#leader === undefined) {
      throw new Error(
        `Cannot reach ${this.name}: it must be booted: it is off`,
      );
    }
    return [
      ...["nsenter", `--target=${this.#leader}`, "--all", "--"],
      // Nothing of this process's environment is the host's.
      ...["env", "--ignore-environment", "HOME=/root", PATH],
    ];
  }

  /** Runs a program inside and returns its output. Throws {@linkcode CommandError}. */
  async run(
    command: readonly string[],
    options?: CommandOptions,
  ): Promise<string> {
    const result = await this.attempt(command, options);
    if (result.exitCode === 0) return result.stdout;
    throw new CommandError(command, result.exitCode, result.stderr);
  }

  /** Runs a program inside, whatever its exit code. */
  attempt(
    command: readonly string[],
    options?: CommandOptions,
  ): Promise<CommandResult> {
    return attempt([...this.commandPrefix, ...command], options);
  }

  /** Asks again until `condition` holds. Throws with the last answer. */
  async until(
    what: string,
    command: readonly string[],
    condition: (result: CommandResult) => boolean,
    timeoutMs = 20_000,
  ): Promise<CommandResult> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const result = await this.attempt(command);
      if (condition(result)) return result;
      if (performance.now() > deadline) {
        const { stderr, stdout } = result;
        throw new RigTimeoutError(
          `${what} on ${this.name}`,
          timeoutMs,
          `${stdout}${stderr}\n${await this.journal()}`,
        );
      }
      await delay(100);
    }
  }

  /** Waits until a unit is in a state, such as `active` or `activating`. */
  async untilUnit(
    unit: string,
    state: string,
    timeoutMs?: number,
  ): Promise<void> {
    await this.until(
      `${unit} in the state ${state}`,
      ["systemctl", "show", "--property=ActiveState", "--value", unit],
      ({ stdout }) => stdout.trim() === state,
      timeoutMs,
    );
  }

  /** The end of its journal, or of one unit's. */
  async journal(unit?: string): Promise<string> {
    const { stdout } = await this.attempt([
      "journalctl",
      "--boot",
      "--no-pager",
      "--output=cat",
      "--lines=60",
      ...unit === undefined ? [] : [`--unit=${unit}`],
    ]);
    return stdout;
  }

  /** The processes of a unit of its system, by their numbers outside of it. */
  processesOf(unit: string): number[] {
    const group = `${this.#group}/payload/system.slice/${unit}`;
    return processesIn(group);
  }

  /** Stops everything on it as it is, so that it costs no time. */
  freeze(): void {
    Deno.writeTextFileSync(`${this.#group}/cgroup.freeze`, "1");
  }

  /** Lets it go on. */
  thaw(): void {
    Deno.writeTextFileSync(`${this.#group}/cgroup.freeze`, "0");
  }

  /** Has a unit started at each boot. Also while the host is off. */
  async enable(unit: string): Promise<void> {
    await run(["systemctl", `--root=${this.root}`, "enable", unit]);
  }

  /** Has a unit not started at boot. Also while the host is off. */
  async disable(unit: string): Promise<void> {
    await run(["systemctl", `--root=${this.root}`, "disable", unit]);
  }

  /** Writes a file; its directories are made. Also while the host is off. */
  async writeTextFile(path: string, text: string): Promise<void> {
    const directory = path.slice(0, path.lastIndexOf("/"));
    await Deno.mkdir(`${this.root}${directory}`, { recursive: true });
    await Deno.writeTextFile(`${this.root}${path}`, text);
  }

  /** The files that systemd keeps in memory lie in mounts of its own. */
  readTextFile(path: string): Promise<string> {
    return this.run(["cat", path]);
  }

  /**
   * Shuts down in order.
   *
   * @returns how long that took, in milliseconds.
   */
  async powerOff(): Promise<number> {
    const startedAtMs = performance.now();
    const process = this.#process;
    this.#process = undefined;
    this.#leader = undefined;
    process?.kill("SIGTERM");
    await process?.ended(SHUTDOWN_MS);
    return performance.now() - startedAtMs;
  }

  /**
   * Off and on again, with a kernel that knows nothing of before: its devices,
   * routes and rules are gone, its disk stays.
   */
  async reboot(signal?: AbortSignal): Promise<void> {
    await this.powerOff();
    await this.host.replug(signal);
    await this.boot(signal);
  }

  /** Ends it the hard way; the rig removes what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.ended(SHUTDOWN_MS);
    this.#process = undefined;
  }

  /** Process 1 is alone in its group, and answers when it has its bus. */
  async #isUp(group: string): Promise<boolean> {
    this.#leader = leaderOf(group);
    if (this.#leader === undefined) return false;
    const { stdout } = await this.attempt(["systemctl", "is-system-running"]);
    return /^(starting|running|degraded)$/.test(stdout.trim());
  }
}

function leaderOf(group: string): number | undefined {
  try {
    return processesIn(`${group}/payload/init.scope`).find(
      (pid) =>
        /^NSpid:.*\s1$/m.test(Deno.readTextFileSync(`/proc/${pid}/status`)),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function processesIn(group: string): number[] {
  const list = Deno.readTextFileSync(`${group}/cgroup.procs`);
  return list.split("\n").filter((line) => line !== "").map(Number);
}
