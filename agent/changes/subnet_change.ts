/**
 * Acts when the host's files have another subnet than before.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { SubnetChangeAction } from "../../config/subnet_change.ts";
import { type SubnetEnv, subnetVariables } from "../../host/subnet_env.ts";
import type { RunShell } from "../../linux/shell_command.ts";
import { type Cidr, equalCidr, formatCidr } from "../../net/cidr.ts";
import { SubnetChangedError } from "../errors.ts";
import { NewestTask } from "../tasks/newest_task.ts";
import type { TaskGroup } from "../tasks/task_group.ts";

const log = getLogger(["loden", "agent"]);

/** What it needs. */
export interface SubnetChangeComponents {
  readonly tasks: TaskGroup;
  readonly runShell: RunShell;
  /** Ends the agent with this error. */
  readonly end: (error: SubnetChangedError) => void;
}

/** The settings, and the subnet of the last run. */
export interface SubnetChangeOptions {
  readonly action: SubnetChangeAction;
  /** The subnet in the subnet file before this run. */
  readonly formerSubnet: Cidr | undefined;
}

/** Docker reads its subnet only when it starts, so the agent acts. */
export class SubnetChangeHook {
  readonly #components: SubnetChangeComponents;
  readonly #action: SubnetChangeAction;
  readonly #command = new NewestTask();
  #told: Cidr | undefined;

  constructor(
    components: SubnetChangeComponents,
    { action, formerSubnet }: SubnetChangeOptions,
  ) {
    this.#components = components;
    this.#action = action;
    this.#told = formerSubnet;
  }

  /** All files have this subnet now. */
  onFilesWritten(env: SubnetEnv): void {
    const former = this.#told;
    this.#told = env.subnet;
    if (former === undefined || equalCidr(former, env.subnet)) return;
    const { tasks, end } = this.#components;
    switch (this.#action.kind) {
      case "continue":
        return;
      case "exit":
        return end(new SubnetChangedError(former, env.subnet));
      case "run": {
        const { command } = this.#action;
        tasks.spawn("subnet change command", (signal) =>
          this.#command.run(
            (ending) => this.#run(command, former, env, ending),
            signal,
          ));
      }
    }
  }

  async #run(
    command: string,
    former: Cidr,
    env: SubnetEnv,
    signal: AbortSignal,
  ): Promise<void> {
    log.info("running the command of --on-subnet-change", {
      event: "subnet-change.run",
      command,
    });
    try {
      const { code, stdout, stderr } = await this.#components.runShell(
        command,
        {
          env: {
            ...subnetVariables(env),
            LODEN_SUBNET: formatCidr(env.subnet),
            LODEN_FORMER_SUBNET: formatCidr(former),
          },
          signal,
        },
      );
      const fields = { command, code, stdout, stderr };
      if (code === 0) {
        log.info("command of --on-subnet-change succeeded", {
          event: "subnet-change.done",
          ...fields,
        });
      } else {
        log.error("command of --on-subnet-change failed", {
          event: "subnet-change.failed",
          ...fields,
        });
      }
    } catch (error) {
      signal.throwIfAborted();
      log.error("command of --on-subnet-change cannot be run", {
        event: "subnet-change.not-run",
        command,
        error,
      });
    }
  }
}
