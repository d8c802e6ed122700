/**
 * One `loden` agent in a host of the rig.
 *
 * @module
 */

import { Daemon } from "./daemon.ts";
import { lodenCommand } from "./loden_program.ts";
import type { NetNamespace } from "./namespace.ts";
import { NotifySocket, type TimedNotification } from "./notify_socket.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  attempt,
  CommandError,
  type CommandResult,
} from "../../tools/command.ts";
import { instancePaths } from "../../agent/instance/instance.ts";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";

/** Enough for an agent that has nothing to wait for, on a busy machine. */
const READY_TIMEOUT_MS = 20_000;
const STATUS_TIMEOUT_MS = 5_000;
/** Flannel's, which agents have unless they are told another one. */
const DEFAULT_PREFIX = "/coreos.com/network";

/** How to start an agent. */
export interface AgentOptions {
  /** Comma list for `--etcd-endpoints`. */
  readonly etcdEndpoints: string;
  /** The underlay's device or address; `eth0` by default. */
  readonly iface?: string;
  /** More flags; the last of equal ones counts. */
  readonly flags?: readonly string[];
  /** Tells agents of one host apart: files, log. `agent` by default. */
  readonly instance?: string;
  /**
   * Nothing on the command line: the settings come as `FLANNELD_*` and every
   * file has its default place, in private copies of /run and /var/lib.
   */
  readonly environmentOnly?: boolean;
  /**
   * Shell commands that run before the agent, in a mount namespace of its own:
   * to take something away from it, such as a device.
   */
  readonly prepare?: readonly string[];
  /** Sources of another version: their `cli.ts`. */
  readonly cliPath?: string;
  /** In place of what {@linkcode lodenCommand} says. */
  readonly program?: readonly string[];
  /** Stands before the agent's command and ends by executing it. */
  readonly wrapper?: readonly string[];
}

/** The agent's files. */
export interface AgentFiles {
  readonly subnetFile: string;
  readonly dockerOptsFile: string;
  readonly stateDirectory: string;
  readonly runDirectory: string;
}

/** A running agent. */
export class Agent implements Disposable {
  readonly process: Daemon;
  readonly files: AgentFiles;
  readonly #namespace: NetNamespace;
  readonly #notify: NotifySocket;

  private constructor(
    process: Daemon,
    files: AgentFiles,
    namespace: NetNamespace,
    notify: NotifySocket,
  ) {
    this.process = process;
    this.files = files;
    this.#namespace = namespace;
    this.#notify = notify;
  }

  /** Starts the process and does not wait for it. */
  static async start(
    namespace: NetNamespace,
    directory: string,
    options: AgentOptions,
  ): Promise<Agent> {
    const home = `${directory}/${options.instance ?? "agent"}`;
    await Deno.mkdir(home, { recursive: true });
    const files = options.environmentOnly
      ? {
        subnetFile: `${home}/run/flannel/subnet.env`,
        dockerOptsFile: `${home}/run/flannel_docker_opts.env`,
        stateDirectory: `${home}/lib/loden`,
        runDirectory: `${home}/run/loden`,
      }
      : {
        subnetFile: `${home}/subnet.env`,
        dockerOptsFile: `${home}/docker_opts.env`,
        stateDirectory: `${home}/state`,
        runDirectory: `${home}/run`,
      };
    const mounts = [
      ...options.environmentOnly ? await privateDirectories(home) : [],
      ...options.prepare ?? [],
    ];
    using cleanup = new DisposableStack();
    const notify = cleanup.use(new NotifySocket(`${home}/notify`));
    const process = new Daemon({
      name: `the agent in ${namespace.name}`,
      logFile: `${home}/log`,
      command: [
        ...namespace.commandPrefix,
        ...mounts.length > 0 ? withMounts(mounts) : [],
        ...options.wrapper ?? [],
        ...options.program ?? lodenCommand(options.cliPath),
        ...options.environmentOnly ? [] : flags(options, files),
      ],
      env: {
        NOTIFY_SOCKET: notify.path,
        DENO_NO_UPDATE_CHECK: "1",
        ...options.environmentOnly ? environment(options) : {},
      },
    });
    cleanup.move();
    return new Agent(process, files, namespace, notify);
  }

  /** Waits for `READY=1`. */
  ready(timeoutMs = READY_TIMEOUT_MS, signal?: AbortSignal): Promise<void> {
    return this.process.until(
      `READY=1 of ${this.process.name}`,
      () => this.#notify.messages().includes("READY=1"),
      timeoutMs,
      signal,
    );
  }

  /** What the agent has told systemd. */
  notifications(): readonly string[] {
    return this.#notify.messages();
  }

  /** The same with the time of each. */
  timedNotifications(): readonly TimedNotification[] {
    return this.#notify.timed();
  }

  /** The variables of subnet.env. */
  subnetEnv(): Promise<Record<string, string>> {
    return readVariables(this.files.subnetFile);
  }

  /** The variables of the Docker options file. */
  dockerOpts(): Promise<Record<string, string>> {
    return readVariables(this.files.dockerOptsFile);
  }

  /** What Docker's bridge would be made from. */
  async bridge(): Promise<{ bip: string; mtuBytes: number }> {
    const options = await this.dockerOpts();
    const bip = /^--bip=(\S+)$/.exec(options.DOCKER_OPT_BIP ?? "");
    const mtu = /^--mtu=(\d+)$/.exec(options.DOCKER_OPT_MTU ?? "");
    if (!bip || !mtu) {
      throw new Error(
        `Cannot make Docker's bridge: ${this.files.dockerOptsFile} must say ` +
          `--bip and --mtu: current value is ${JSON.stringify(options)}`,
      );
    }
    return { bip: bip[1]!, mtuBytes: Number(mtu[1]) };
  }

  /**
   * What `loden status --json` prints, asked over the same socket: without a
   * process for each question.
   */
  status(): Promise<StatusSnapshot> {
    // Where the agent sees it: its directories may be mounts of its own.
    const root = `/proc/${this.process.pid}/root`;
    const { socket } = instancePaths(this.files.runDirectory, DEFAULT_PREFIX);
    return fetchStatus(root + socket, AbortSignal.timeout(STATUS_TIMEOUT_MS));
  }

  /** What `loden status` prints. */
  async statusText(...args: string[]): Promise<string> {
    const command = [
      ...this.#namespace.commandPrefix,
      ...lodenCommand(),
      "status",
      `--run-dir=${this.files.runDirectory}`,
      ...args,
    ];
    const { exitCode, stderr, stdout } = await attempt(command);
    // An agent that is not ready yet says why.
    if (exitCode !== exitCodes.ok && exitCode !== exitCodes.notReady) {
      throw new CommandError(command, exitCode, stderr);
    }
    return stdout;
  }

  /** SIGTERM. @returns the exit code. */
  stop(graceMs?: number): Promise<number> {
    return this.process.stop(graceMs);
  }

  /** Lets go of the notify socket; the process is none of its business. */
  [Symbol.dispose](): void {
    this.#notify[Symbol.dispose]();
  }
}

/** Runs a `loden` subcommand inside a namespace, to its end. */
export function loden(
  namespace: NetNamespace,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return attempt([...namespace.commandPrefix, ...lodenCommand(), ...args], {
    env: { ...env, DENO_NO_UPDATE_CHECK: "1" },
  });
}

function flags(options: AgentOptions, files: AgentFiles): string[] {
  return [
    `--etcd-endpoints=${options.etcdEndpoints}`,
    `--iface=${options.iface ?? "eth0"}`,
    "--ip-masq=true",
    `--subnet-file=${files.subnetFile}`,
    `--docker-opts-file=${files.dockerOptsFile}`,
    `--state-dir=${files.stateDirectory}`,
    `--run-dir=${files.runDirectory}`,
    "--log-format=json",
    ...options.flags ?? [],
  ];
}

function environment(options: AgentOptions): Record<string, string> {
  return {
    FLANNELD_ETCD_ENDPOINTS: options.etcdEndpoints,
    FLANNELD_IFACE: options.iface ?? "eth0",
  };
}

/** Makes the directories; the commands put them into the usual places. */
async function privateDirectories(home: string): Promise<string[]> {
  await Deno.mkdir(`${home}/run`);
  await Deno.mkdir(`${home}/lib`);
  return [`mount --bind ${home}/run /run`, `mount --bind ${home}/lib /var/lib`];
}

/** What stands before a command to run it with mounts that only it sees. */
function withMounts(mounts: readonly string[]): string[] {
  const script = ["mount --make-rprivate /", ...mounts, 'exec "$@"'];
  return ["unshare", "--mount", "sh", "-ec", script.join("\n"), "sh"];
}

/** Lines `NAME=value` or `NAME="value"`, as a shell would source them. */
async function readVariables(path: string): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const line of (await Deno.readTextFile(path)).split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"(.*)"|(.*))$/.exec(line);
    if (match) variables[match[1]!] = match[2] ?? match[3]!;
  }
  return variables;
}
