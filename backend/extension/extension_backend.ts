/**
 * flannel's `extension` backend: commands of the network config do all the work
 * (flannel's `pkg/backend/extension`).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { overlayMtu } from "../../net/mtu.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../../net/peer.ts";
import type { Overlay } from "../../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "../backend.ts";
import {
  type CommandRunning,
  runExtensionCommand,
} from "./extension_command.ts";

const log = getLogger(["loden", "backend"]);

const TYPE = "extension";

/** The commands; the empty text is none. */
export interface ExtensionCommands {
  readonly preStartup: string;
  readonly postStartup: string;
  readonly subnetAdd: string;
  readonly subnetRemove: string;
}

/** What the backends of one process share. */
export interface ExtensionHost extends CommandRunning {
  /**
   * The output of each pre-startup command that has run: it runs once, for the
   * lease, however often the backend is started.
   */
  readonly prepared: Map<string, string>;
}

/** What becomes of a peer. */
interface Task {
  readonly option: "SubnetAddCommand" | "SubnetRemoveCommand";
  readonly peer: Peer;
}

/** Runs one command at a time. Start an instance only once. */
export class ExtensionBackend implements Backend {
  readonly type = TYPE;
  readonly failed: Promise<void>;
  readonly #host: ExtensionHost;
  readonly #commands: ExtensionCommands;
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  readonly #peers = new Map<string, Peer>();
  /** Why the last command for a peer failed, by its subnet. */
  readonly #failures = new Map<string, string>();
  #tasks: Promise<void> = Promise.resolve();

  constructor(host: ExtensionHost, commands: ExtensionCommands) {
    this.#host = host;
    this.#commands = commands;
    this.failed = this.#ended.promise;
  }

  /** @throws {ExtensionCommandError} */
  async prepare(signal: AbortSignal): Promise<void> {
    const { preStartup } = this.#commands;
    const { prepared } = this.#host;
    if (preStartup === "" || prepared.has(preStartup)) return;
    const output = await runExtensionCommand(this.#host, {
      option: "PreStartupCommand",
      command: preStartup,
    }, signal);
    prepared.set(preStartup, output);
  }

  /** The output of the pre-startup command, once it has run. */
  advertise(): BackendAdvertisement {
    const backendData = this.#host.prepared.get(this.#commands.preStartup);
    return {
      backendType: TYPE,
      ...backendData !== undefined && { backendData },
    };
  }

  /** @throws {ExtensionCommandError} */
  async start(
    { network, subnet, underlay }: BackendContext,
    signal: AbortSignal,
  ): Promise<Overlay> {
    signal.throwIfAborted();
    await this.prepare(signal);
    const { postStartup } = this.#commands;
    if (postStartup !== "") {
      await runExtensionCommand(this.#host, {
        option: "PostStartupCommand",
        command: postStartup,
        variables: {
          NETWORK: formatCidr(network),
          SUBNET: formatCidr(subnet),
          PUBLIC_IP: formatIpv4(underlay.publicIp),
          // What flannel says on a host without IPv6.
          IPV6SUBNET: "::/0",
          PUBLIC_IPV6: "<nil>",
        },
      }, signal);
    }
    return { deviceName: undefined, mtuBytes: overlayMtu(underlay.mtuBytes) };
  }

  /** Returns at once: a command may take its time. */
  apply(diff: PeerDiff): Promise<void> {
    const changed = diff.changed.filter((peer) =>
      isAnother(peer, this.#peers.get(formatCidr(peer.subnet)))
    );
    applyPeerDiff(this.#peers, diff);
    for (const peer of diff.removed) {
      this.#plan({ option: "SubnetRemoveCommand", peer });
    }
    for (const peer of [...diff.added, ...changed]) {
      this.#plan({ option: "SubnetAddCommand", peer });
    }
    return Promise.resolve();
  }

  status(): BackendStatus {
    return {
      type: TYPE,
      dataPath: "commands",
      reason: "commands of the network config carry packets",
      device: undefined,
      peers: this.#peers.size,
      outlivesAgent: true,
      details: Object.fromEntries(
        [...this.#failures].map(([subnet, reason]) => [
          `not served: ${subnet}`,
          reason,
        ]),
      ),
      counters: {},
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await this.#tasks;
    this.#ended.resolve();
  }

  #plan(task: Task): void {
    this.#tasks = this.#tasks.then(() => this.#run(task));
  }

  /** A failure is logged and shown; the command runs again at the next start. */
  async #run({ option, peer }: Task): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const subnet = formatCidr(peer.subnet);
    this.#failures.delete(subnet);
    const command = option === "SubnetAddCommand"
      ? this.#commands.subnetAdd
      : this.#commands.subnetRemove;
    if (command === "") return;
    const { backendData: data = "" } = peer;
    if (typeof data !== "string") {
      const reason =
        `the lease's BackendData must be a text: current value is ${
          JSON.stringify(data)
        }`;
      this.#failures.set(subnet, reason);
      log.warn("peer cannot be served", {
        event: "backend.peer-refused",
        subnet,
        reason,
      });
      return;
    }
    try {
      await runExtensionCommand(this.#host, {
        option,
        command,
        variables: { SUBNET: subnet, PUBLIC_IP: formatIpv4(peer.publicIp) },
        data,
      }, signal);
    } catch (error) {
      if (signal.aborted || option === "SubnetRemoveCommand") return;
      this.#failures.set(subnet, describeError(error));
    }
  }
}

/** Whether flannel would run the command for a peer again. */
function isAnother(peer: Peer, before: Peer | undefined): boolean {
  return before === undefined || peer.publicIp !== before.publicIp ||
    JSON.stringify(peer.backendData) !== JSON.stringify(before.backendData);
}
