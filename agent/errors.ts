/**
 * Errors of the agent.
 *
 * @module
 */

import type { Leftover } from "../backend/leftovers.ts";
import { LodenError } from "../errors.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";

/** A second agent of one network on one host. */
export class AgentRunningError extends LodenError {
  /**
   * The process that holds the lock; `undefined` if it has not written its id
   * yet.
   */
  readonly pid: number | undefined;

  constructor(prefix: string, lockPath: string, pid: number | undefined) {
    const who = pid === undefined ? "another process" : `process ${pid}`;
    super(
      "agent.already-running",
      `Cannot continue: no agent of ${prefix} may be running on this host: ` +
        `${who} holds ${lockPath}`,
      {
        hint: "stop it first; an agent of another network needs its own " +
          "--etcd-prefix, --subnet-file and --docker-opts-file",
      },
    );
    this.pid = pid;
  }
}

/** The same, but with files in another directory. */
export class AgentInNamespaceError extends LodenError {
  constructor(prefix: string, runDir: string) {
    super(
      "agent.already-running",
      `Cannot continue: no agent of ${prefix} may be running in this ` +
        `network namespace: one runs with a --run-dir other than ${runDir}`,
      { hint: "stop it first: ss -xap | grep @loden/ shows it" },
    );
  }
}

/**
 * Packets would leave in clear text although the backend encrypts. Its code is
 * `network.leftovers`.
 */
export class LeftoversError extends LodenError {
  constructor(leftovers: readonly Leftover[]) {
    super(
      "network.leftovers",
      `Cannot start the network: no other backend may have routes inside it: ` +
        `present are ${leftovers.map(({ what }) => what).join(", ")}`,
      {
        hint: `${leftovers.map(({ fix }) => fix).join("; ")}; or start with ` +
          "--take-over-devices",
      },
    );
  }
}

/** flannel's own agent runs on this host. */
export class FlanneldRunningError extends LodenError {
  /** @param shared what both would write or lease, as text. */
  constructor(pid: number, shared: string) {
    super(
      "agent.flanneld-running",
      `Cannot run the agent: no flanneld may use the same network: process ` +
        `${pid} is flanneld and also uses ${shared}`,
      {
        hint: "stop it first (systemctl disable --now flanneld); " +
          "docs/from-flannel.md has the steps",
      },
    );
  }
}

/** Another agent on this host, of another network, writes the same file. */
export class FileOfOtherAgentError extends LodenError {
  constructor(path: string, instance: string, pid: number | undefined) {
    const who = pid === undefined ? "another process" : `process ${pid}`;
    super(
      "agent.file-shared",
      `Cannot run the agent: ${path} must be written by one agent only: ` +
        `${who}, the agent of ${instance}, also writes it`,
      {
        hint: "give this network its own --subnet-file and --docker-opts-file",
      },
    );
  }
}

/** A running agent of another network uses overlapping addresses. */
export class NetworkOfOtherAgentError extends LodenError {
  readonly retryable = false;

  constructor(
    network: Cidr,
    theirs: Cidr,
    instance: string,
    pid: number | undefined,
  ) {
    super(
      "agent.network-shared",
      `Cannot run the agent: the network ${formatCidr(network)} must not ` +
        `overlap another one on this host: ${instance} has ${
          formatCidr(theirs)
        }` +
        (pid === undefined ? "" : ` (process ${pid})`),
      { hint: "change the addresses of one of the two networks" },
    );
  }
}

/** The run directory or a file in it cannot be used. */
export class RunDirectoryError extends LodenError {
  constructor(action: string, path: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super("agent.run-dir", `Cannot ${action} ${path}: ${reason}`, {
      cause,
      hint: "run as root, or set --run-dir to a directory of your own",
    });
  }
}

/** No agent answers on the instance's socket. */
export class AgentNotRunningError extends LodenError {
  constructor(socketPath: string, cause?: unknown) {
    super(
      "agent.not-running",
      `Cannot ask the agent: nothing answers on ${socketPath}`,
      {
        cause,
        hint:
          "start the agent, or give the --etcd-prefix and --run-dir that it uses",
      },
    );
  }
}

/** An agent holds the socket and gives no answer: it hangs, or it is stopped. */
export class AgentSilentError extends LodenError {
  /** @param pid of the agent, if its lock says so. */
  constructor(socketPath: string, waitedMs: number, pid: number | undefined) {
    const who = pid === undefined ? "the agent" : `process ${pid}`;
    super(
      "agent.silent",
      `Cannot ask the agent: ${who} must answer on ${socketPath} within ` +
        `${waitedMs / 1e3} s: there is no answer`,
      {
        hint: "look at its last log lines (journalctl --unit=loden), then " +
          "restart it (systemctl restart loden)",
      },
    );
  }
}

/** The socket exists, but this user may not use it. */
export class AgentAccessError extends LodenError {
  constructor(socketPath: string, cause: unknown) {
    super(
      "agent.access",
      `Cannot ask the agent: ${socketPath} must be readable by this user: ` +
        `permission denied`,
      { cause, hint: "run as root: the agent answers only its own user" },
    );
  }
}

/** The agent tells its events to so many already. */
export class TooManyListenersError extends LodenError {
  constructor(socketPath: string) {
    super(
      "agent.listeners",
      `Cannot listen to the agent: ${socketPath} must have room for one more: ` +
        "as many commands as it serves listen already",
      { hint: "end a loden monitor that you do not need" },
    );
  }
}

/** This version does not understand the agent's answer. */
export class AgentAnswerError extends LodenError {
  constructor(socketPath: string, answer: string) {
    super(
      "agent.answer",
      `Cannot read the agent's answer: ${socketPath} must answer with a ` +
        `status object: current answer is ${
          JSON.stringify(answer.slice(0, 80))
        }`,
      { hint: "restart the agent, which may have another version" },
    );
  }
}

/** `--on-subnet-change=exit`, and the subnet has changed. */
export class SubnetChangedError extends LodenError {
  readonly retryable = false;

  constructor(former: Cidr, subnet: Cidr) {
    super(
      "agent.subnet-changed",
      `Cannot continue: the subnet must stay the one that Docker was given: ` +
        `it was ${formatCidr(former)} and is ${formatCidr(subnet)} now`,
      {
        hint: "restart Docker and this agent, which keeps the new subnet",
      },
    );
  }
}

/** The published network config cannot be applied on this host. */
export class ConfigChangeError extends LodenError {
  /**
   * @param refusals Each "X must …: new value is …".
   * @param publishFormer The command that publishes the running config again.
   */
  constructor(
    subnet: Cidr,
    refusals: readonly string[],
    publishFormer: string,
  ) {
    super(
      "config.refused",
      `Cannot change to the published network config while this host has ${
        formatCidr(subnet)
      }: ${refusals.join("; ")}`,
      {
        hint: `publish the former values again: ${publishFormer}; or restart ` +
          "the agent (systemctl restart loden) and then Docker " +
          "(systemctl restart docker) on all hosts",
      },
    );
  }
}

/** The config of a running network was deleted. */
export class ConfigDeletedError extends LodenError {
  /** @param hint The commands that publish the running config again. */
  constructor(key: string, hint: string) {
    super(
      "config.refused",
      `Cannot read the network config now: ${key} must be in etcd: there ` +
        "is no such key",
      { hint },
    );
  }
}
